"""``sqdm explore``: a sweep over configurations, and the best of them."""

import json
import os
from pathlib import Path

import click

from sqdm.errors import UserError
from sqdm.output import json_option, message, progress, show, staged_folder, table

AXES = ("dense", "sparse", "slots", "lanes", "bus", "psum_depth", "slot_channels", "act_rows", "policy", "multipliers")
HEADS = ("preset", "cycles", "over FP16", "over 4 bit", "stalls", "area", "per area", "energy", "front")
BEST = 10  #: points that are printed


@click.command(
    epilog="Example: sqdm explore --no-area --policy balanced,threshold --out out/explore",
    short_help="Sweep over configurations, Pareto front.",
)
@click.option("--out", type=Path, required=True, help="Folder for points.json, points.csv, pareto.png and results.")
@click.option("--space", type=Path, help="TOML file with the values of the following options.")
@click.option("--dense", help="Dense arrays.  [default: 0,1,2]")
@click.option("--sparse", help="Sparse arrays.  [default: 0,1,2,3,4,6,7,8]")
@click.option("--slots", help="Slots of an array.  [default: 1,2,4]")
@click.option("--lanes", help="Output channels of an array.  [default: 32,64]")
@click.option("--bus", help="Bits of a memory word.  [default: that of --config]")
@click.option("--psum-depth", help="Pixels that an array may run ahead.  [default: by --config and slots]")
@click.option("--slot-channels", help="Channels a slot holds.  [default: in all as many as --config]")
@click.option("--act-rows", help="Activation words of a slot.  [default: in all as many as --config]")
@click.option("--policy", help="balanced, threshold, dense, sparse.  [default: balanced]")
@click.option("--multipliers", help='Keep configurations with so many; "any" keeps all.  [default: as --config]')
@click.option("--config", default="default", show_default=True, help="All other parameters; and the reference.")
@click.option("--workload", multiple=True, default=("digits",), show_default=True,
              help="digits, cifar10 (synthetic zeros), or a TOML file of layers; again for several.")  # fmt: skip
@click.option("--images", type=click.IntRange(1, 255), help="Drawn together.  [default: 10, other workloads 1]")
@click.option("--steps", type=click.IntRange(1, 1000), default=18, show_default=True, help="Sampling steps (Heun).")
@click.option("--evaluations", type=click.IntRange(1), default=5, show_default=True,
              help="Predicted, spread over the run; they stand for all.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of noise and synthetic zeros.")
@click.option("--latency", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of memory, cycles.")
@click.option("--objective", type=click.Choice(("area", "energy")), default="area", show_default=True,
              help="Cost of the front that is drawn.")  # fmt: skip
@click.option("--area/--no-area", "with_area", default=True, help="Synthesise: minutes for each new configuration.")
@click.option("--energy", type=Path, help="energy.json of `sqdm energy`, to estimate energies from.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes.  [default: one a processor]")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to run predictions on instead.")
@json_option
def explore(out: Path, space: Path | None, workload: tuple[str, ...], as_json: bool, **options):
    """Predict every configuration of a space, synthesise it, and find the ones that no other beats.

    Cycles come from the cycle model, areas from synthesis without memories; energy is an estimate. Every finished
    result is kept by content in --out and in the cache: a run that was cut off goes on where it was. Configurations
    that break a rule are listed with it. docs/explore.md says how it works and what it does not show.
    """
    from sqdm.rtl.config import load_config
    from sqdm.sim.explore.energy import read_energy
    from sqdm.sim.explore.space import make_space, read_space
    from sqdm.sim.explore.sweep import Sweep
    from sqdm.sim.explore.workers import workers

    base = load_config(options["config"])
    values = read_space(space) if space else {}
    values |= {name: options[name] for name in AXES if options[name] is not None}
    chosen = make_space(base, values)
    report = read_energy(options["energy"]) if options["energy"] else None
    if options["objective"] == "energy" and (report is None or not options["with_area"]):
        raise UserError("objective energy needs --energy FILE and areas")
    candidates, refused, other = chosen.candidates()
    if not candidates:
        rule = f", for example: {refused[0].problem}" if refused else ""
        raise UserError(f"space must have a legal configuration, not {len(refused)} illegal and {other} others{rule}")
    sweep = Sweep(candidates, make_workloads(workload, options), base, options["latency"], report)
    jobs = options["jobs"] or min(len(candidates), os.cpu_count() or 1)
    with workers(jobs, options["scheduler"]) as run:
        make_folder(out)
        result, all_refused = measure(sweep, run, out, refused, options)
    result["left_out"] = other
    write(result, all_refused, out)
    show(result, text(result), as_json)


def make_workloads(names: tuple[str, ...], options: dict) -> list:
    """The workloads by name or file; UserError for one that is neither."""
    from sqdm.sim.explore.shapes import cifar10, read_shapes
    from sqdm.sim.explore.synthetic import Synthetic
    from sqdm.sim.explore.workload import Digits

    run = {name: options[name] for name in ("steps", "seed")} | {"sampled": options["evaluations"]}
    found = {}
    for name in dict.fromkeys(names):
        if name == "digits":
            one = Digits(images=options["images"] or 10, **run)
        elif name == "cifar10":
            one = Synthetic(name, cifar10(), images=options["images"] or 1, **run)
        elif name.endswith(".toml"):
            one = Synthetic(Path(name).stem, read_shapes(Path(name)), images=options["images"] or 1, **run)
        else:
            raise UserError(f"workload must be digits, cifar10 or a .toml file, not {name!r}")
        if one.name in found:
            raise UserError(f"workload names must differ, not be {one.name!r} twice")
        found[one.name] = one
    return list(found.values())


def make_folder(out: Path) -> None:
    """The folder of the sweep, where results are kept while it runs."""
    if out.exists() and not out.is_dir():
        raise UserError(f"the output {str(out)!r} must be a folder, not a file")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the output {str(out)!r} must be writable: {error.strerror}") from None
    if not os.access(out, os.W_OK):
        raise UserError(f"the output folder {str(out)!r} must be writable")


def measure(sweep, run, out: Path, refused: list, options: dict) -> tuple[dict, list]:
    """Predictions and areas with progress bars; the object that --json prints, and everything that was refused."""
    from sqdm.sim.explore import points
    from sqdm.sim.explore import sweep as sweeps
    from sqdm.sim.explore.store import Store

    store = Store(out)
    for workload in sweep.workloads:
        with progress(f"non-zero maps of {workload.name}", 1) as update:
            workload.prepare()
            update(1)
    with progress("cycles", len(sweep.tasks())) as update:
        results = sweeps.predict(sweep, run, store, update)
    fixed = [task for workload in sweep.workloads for task in sweep.references(workload)]
    fixed += [sweep.energy_task] if sweep.energy else []
    problems = [results[task.key]["problem"] for task in fixed if "problem" in results[task.key]]
    if problems:
        raise UserError(f"config and energy must be of accelerators that fit the workload: {problems[0]}")
    known = {}
    if options["with_area"]:
        with progress("areas", len(sweep.candidates) + 2) as update:
            known = sweeps.areas(sweep, results, store, update)
    found, unfit = sweeps.rows(sweep, results, known)
    for area in known.values():
        for problem in area.problems:
            message(f"area: {problem}")
    cost = points.cost_of(found, options["objective"])
    return {
        "points": found,
        "pareto": points.pareto(found, cost),
        "pareto_cost": cost,
        "refused": points.refusals([*refused, *unfit]),
        "workloads": [workload.describe() for workload in sweep.workloads],
        "reference": sweep.reference.to_dict(),
        "latency": sweep.latency,
        "energy": "estimate, J per image on chip" if sweep.energy and known else None,
    }, [*refused, *unfit]


def write(result: dict, refused: list, out: Path) -> None:
    """The files of --out, all or none."""
    from sqdm.sim.explore.picture import draw
    from sqdm.sim.explore.points import write_csv

    with staged_folder(out) as folder:
        (folder / "points.json").write_text(json.dumps(result, indent=1) + "\n")
        write_csv(result["points"], refused, folder / "points.csv")
        draw(result["points"], result["pareto_cost"], folder / "pareto.png")


def text(result: dict) -> str:
    """For people: the fastest points and the presets of every workload, and how many were refused."""
    parts = []
    front = f"pareto_{result['pareto_cost']}"
    for workload in result["workloads"]:
        own = sorted((one for one in result["points"] if one["workload"] == workload["name"]), key=by_cycles)
        shown = [
            one for n, one in enumerate(own) if n < BEST or one["preset"] or one[f"pareto_{result['pareto_cost']}"]
        ]
        lines = [line(one, front) for one in shown]
        heads = (workload["name"], *HEADS)
        used = [n for n in range(len(heads)) if n == 0 or any(cells[n] for cells in lines)]
        parts.append(table([tuple(cells[n] for n in used) for cells in lines], tuple(heads[n] for n in used)))
        parts.append(
            f"{len(own)} points, {len(shown)} shown; {workload['images']} images, {workload['evaluations']} "
            f"evaluations, {len(workload['predicted_evaluations'])} of them predicted; maps {workload['maps']}"
        )
    problems = [f"{one['name']}: {one['problem']}" for one in result["refused"]]
    parts.append("\n".join([f"{len(problems)} refused", *problems[:BEST], *["..."] * (len(problems) > BEST)]))
    return "\n\n".join(parts)


def by_cycles(one: dict) -> int:
    return one["cycles"]


def line(one: dict, front: str) -> tuple[str, ...]:
    """A point's cells; empty where there is no figure."""
    area, per_area, energy = one["area"], one["speedup_per_area"], one["energy"]
    return (
        one["name"],
        one["preset"] or "",
        f"{one['cycles']:,}",
        f"{one['speedup_fp16']:.2f}x",
        f"{one['speedup_4bit']:.2f}x",
        f"{sum(one['stalls'].values()) / one['cycles']:.1%}",
        f"{area:,.0f}" if area else "",
        f"{per_area:.2f}x" if per_area else "",
        f"{1e3 * energy:.2f} mJ" if energy else "",
        "*" if one[front] else "",
    )
