"""Runs a command in a terminal of its own: types each line of standard input once a prompt is there, and copies what the terminal shows.

    terminal.py PROMPT... -- COMMAND ARGUMENT...
"""
import os
import pty
import re
import select
import sys

at = sys.argv.index("--")
command = sys.argv[at + 1:]
# A prompt at the end of what is shown, on a line that began after the last one typed; an editor draws it anew with every key, but a
# line end comes only with Return.
waiting = re.compile(rb"(^|\n)[^\n]*(%s)(\r|\x1b\[[0-9;?]*[A-Za-z])*$" % b"|".join(re.escape(prompt.encode()) for prompt in sys.argv[1:at]))
process, terminal = pty.fork()
if process == 0:
    os.execvp(command[0], command)


def more():
    if not select.select([terminal], [], [], 60)[0]:
        sys.exit("the terminal showed nothing new for 60 s")
    try:
        return os.read(terminal, 65536)
    except OSError:
        # Nobody holds the terminal any more: the command has ended.
        return b""


for line in sys.stdin:
    shown = b""
    while not waiting.search(shown):
        piece = more()
        if not piece:
            sys.exit(f"the command ended before it was told: {line!r}")
        sys.stdout.buffer.write(piece)
        shown += piece
    os.write(terminal, line.rstrip("\n").encode() + b"\r")
while piece := more():
    sys.stdout.buffer.write(piece)
sys.stdout.buffer.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
