"""llama.cpp needs libgomp.so.1, which a minimal Debian lacks. The extra `local` brings LLVM's runtime under that name.

The loader reads LD_LIBRARY_PATH only when a program starts, so the program is started once more.
"""

import ctypes
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

LIBRARY = "libgomp.so.1"


def ensure(environment_with: Callable[[Path], dict[str, str] | None]) -> None:
    """Returns when the library can be loaded, or cannot be helped; else replaces this process by a new one.

    `environment_with` gives the environment with a directory to look for libraries in; None when it is there already.
    """
    own = Path(sysconfig.get_path("purelib"), "cmeel.prefix", "lib")
    if sys.platform != "linux" or not (own / LIBRARY).exists():
        return
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        environment = environment_with(own)
        if environment is not None:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
