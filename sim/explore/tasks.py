"""One prediction of the sweep, wherever it runs: its content's key, and its result."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import sqdm.compiler
import sqdm.golden
import sqdm.rtl
from sqdm.errors import UserError
from sqdm.golden.model_file import load_model
from sqdm.rtl.config import Config
from sqdm.rtl.registers import Policy
from sqdm.sim import cycles
from sqdm.sim.bench import sparsity, trace
from sqdm.sim.bench.figures import hardware
from sqdm.sim.library import digest

FORMAT = "sqdm-explore-1"


@dataclass(frozen=True)
class Task:
    """A ``workload`` on ``config`` with labels by ``policy``; ``latency`` of the memory in cycles.

    ``bits``: every layer at 4 or 8 bits, for dense arrays.
    """

    config: Config
    policy: Policy
    workload: object
    latency: int
    bits: int | None = None

    @property
    def key(self) -> str:
        """Hash of everything that the result depends on; the configuration's name is not part of it."""
        parts = (hardware(self.config), int(self.policy), repr(self.workload), self.latency, self.bits)
        return digest(FORMAT, sources(), *parts)

    def run(self) -> dict:
        """The fields of `Outcome`, or the ``problem`` when the workload does not fit the configuration."""
        try:
            return asdict(self.workload.predict(self.config, self.policy, self.latency, self.bits))
        except UserError as error:
            return {"problem": str(error)}


@lru_cache(maxsize=1)
def sources() -> str:
    """Hash of the programs and the model that predictions come from."""
    folders = (sqdm.rtl, sqdm.golden, sqdm.compiler, cycles)
    files = [path for package in folders for path in sorted(Path(package.__file__).parent.glob("*.py"))]
    own = Path(__file__).parent
    native = Path(cycles.__file__).parent
    files += [*sorted(native.glob("*.h")), *sorted(native.glob("*.cpp"))]
    files += [Path(sparsity.__file__), Path(trace.__file__)]
    files += [own / name for name in ("workload.py", "synthetic.py", "shapes.py")]
    return digest(*(path.read_text() for path in files), trace.model_hash(load_model(None)))
