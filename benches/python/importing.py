"""Prints what the import of a module costs, in nanoseconds of CPU time; another one may be there
already. It loads nothing itself that the module would have to load.
"""

import sys
import time

# httpx, which malti-telemetry imports, loads these too where something else has installed them.
sys.modules.update(dict.fromkeys(("click", "rich", "pygments")))  # type: ignore[arg-type]

name, folder, *beside = sys.argv[1:]
for other in beside:
    __import__(other)
# Last, so that a module which is installed comes first.
sys.path.append(folder)
began = time.process_time_ns()
__import__(name)
print(time.process_time_ns() - began)
