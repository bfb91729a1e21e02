"""Maps the top-level folders to subpackages of ``sqdm``; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = ("rtl", "golden", "compiler", "sim", "synth")

packages = find_packages(include=["sqdm", "sqdm.*"])
for folder in FOLDERS:
    packages += [f"sqdm.{folder}"] + [f"sqdm.{folder}.{name}" for name in find_packages(folder)]

setup(
    packages=packages,
    package_dir={"sqdm": "sqdm"} | {f"sqdm.{folder}": folder for folder in FOLDERS},
    package_data={
        "sqdm.golden": ["models/*/*"],
        "sqdm.page": ["*.j2", "*.css"],
        "sqdm.package": ["*.ys", "*.v", "files/*"],
        "sqdm.sim": ["*.cpp", "*.h", "*.vlt"],
        "sqdm.sim.board": ["*.cpp"],
        "sqdm.sim.cycles": ["*.cpp", "*.h"],
        "sqdm.synth.energy": ["*.h"],
    },
)
