"""What happens to files behind a program's back."""

import os
import resource
import signal

import torch
from safetensors.torch import save_file


def kill_while_weights_are_written(path):
    """Let a process die in the middle of writing weights; what it leaves has a name that safetensors made up."""
    tensors = {"weight": torch.zeros(10_000)}
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        save_file(tensors, path)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGXFSZ
    assert not path.exists() and len(list(path.parent.glob(".tmp*"))) == 1


def cut_short(path):
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
