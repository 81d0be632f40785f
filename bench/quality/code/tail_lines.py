import os
import time

BLOCK = 8192


def last_lines(path, count):
    """Read the end of a large file block by block, backwards."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        position = file.tell()
        data = b""
        while position > 0 and data.count(b"\n") <= count:
            step = min(BLOCK, position)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    return [line.decode("utf-8", "replace") for line in data.splitlines()[-count:]]


def follow(path, poll=0.5):
    """Yield lines as they are appended; survives rotation and truncation."""
    file = open(path, encoding="utf-8", errors="replace")
    inode = os.fstat(file.fileno()).st_ino
    file.seek(0, os.SEEK_END)
    while True:
        line = file.readline()
        if line:
            yield line.rstrip("\n")
            continue
        time.sleep(poll)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        if status.st_ino != inode or status.st_size < file.tell():
            file.close()
            file = open(path, encoding="utf-8", errors="replace")
            inode = os.fstat(file.fileno()).st_ino
