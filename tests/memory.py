"""What a fresh process needs of memory."""

# Code that defines `peak()`, in MiB, for a process of its own. Not getrusage: its maximum starts at that of the process
# that started this one, which after some tests is larger than what any test could see.
PEAK = r"""
import re
peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024
"""
