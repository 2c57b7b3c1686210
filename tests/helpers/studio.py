"""The studio as a process, and the system's browser."""

import re
import signal
import subprocess
import sys

RACER = (sys.executable, "-m", "racer.cli")
WEBGL = ("--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader")
"""Options by which a headless Chromium draws WebGL without a graphics card."""


class Server:
    """The command `racer studio` as a process."""

    def __init__(self, folder, *words):
        self.process = subprocess.Popen(
            [*RACER, "studio", "--no-browser", "--folder", str(folder), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder.parent,
        )
        self.said = ""
        assert self.process.stdout
        while "Ctrl-C" not in self.said:
            self.said += self.process.stdout.readline()
            assert self.process.poll() is None, self.said
        self.urls = re.findall(r"http://\S+", self.said)

    def end(self, how=signal.SIGINT):
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said
