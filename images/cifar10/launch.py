"""`python -m cifar10.launch N train ...`: one rank for each of N GPUs of this machine.

torchrun does the work; what it adds is how a failure ends: torchrun's own traceback says nothing that the rank has not
said, and its exit code is always 1.
"""

import logging
import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the trainer's arguments on argv[0] ranks; returns the exit code of the rank that failed."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # torchrun's log repeats, for each rank, how that rank ended.
    logging.disable(logging.CRITICAL)
    options = ["--standalone", f"--nproc-per-node={argv[0]}", "-m", "cifar10", *argv[1:]]
    try:
        torchrun.run(torchrun.parse_args(options))
    except ChildFailedError as error:
        # All that torchrun found ended at one look: a rank that only lost contact with the failed one has code 1.
        rank, failure = max(error.failures.items(), key=lambda item: (item[1].exitcode < 0, item[1].exitcode))
        return _code(rank, failure.exitcode)
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    return 0


def _code(rank: int, exitcode: int) -> int:
    """A rank that ended by itself has said why; one that was killed could not."""
    if exitcode >= 0:
        return exitcode
    name = signal.Signals(-exitcode).name
    print(f"cifar10: rank {rank} was ended by {name}", file=sys.stderr)
    cause = "if the machine or the container ran out of memory, give a smaller --batch-size; " if exitcode == -9 else ""
    print(f"next: {cause}continue with --resume auto", file=sys.stderr, flush=True)
    return 128 - exitcode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
