"""`python -m cifar10.launch N train ...`: torchrun's N ranks on this machine, ending as the rank that failed did.

torchrun itself ends with code 1 and a traceback that says nothing that the rank has not said.
"""

import logging
import signal
import sys
from collections.abc import Sequence

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main(argv: Sequence[str]) -> int:
    """Run the trainer's arguments on argv[0] ranks; returns the exit code of the rank that failed."""
    logging.disable(logging.CRITICAL)  # torchrun's log repeats, for each rank, how that rank ended
    try:
        options = ["--standalone", f"--nproc-per-node={argv[0]}", "-m", "cifar10", *argv[1:]]
        torchrun.run(torchrun.parse_args(options))
    except ChildFailedError as error:
        # All that torchrun found ended at one look: a rank that only lost contact with the failed one has code 1.
        ended = {rank: failure.exitcode for rank, failure in error.failures.items()}
        rank, code = max(ended.items(), key=lambda item: (item[1] < 0, item[1]))
        if code >= 0:  # it has said why itself
            return code
        print(f"cifar10: rank {rank} was ended by {signal.Signals(-code).name}", file=sys.stderr)
        cause = "if the machine or the container ran out of memory, give a smaller --batch-size; " * (code == -9)
        print(f"next: {cause}continue with --resume auto", file=sys.stderr, flush=True)
        return 128 - code
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
