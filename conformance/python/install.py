"""Installs the suite into a cache once and prints where: install.py CACHE REQUIREMENT (Python 2.7)."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

cache, requirement = sys.argv[1:]
if not os.path.isdir(cache):
    os.makedirs(cache)

# The suite has compiled dependencies, which fit the interpreter that built them and no other.
interpreter = hashlib.sha1(os.path.realpath(sys.executable) + sys.version).hexdigest()[:12]
base = os.path.join(cache, '%s-%s' % (requirement.replace('==', '-'), interpreter))
complete = os.path.join(base, '.complete')

# pip inherits the lock: should this script die, the next one still waits for the pip that it left behind.
with open(base + '.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not os.path.exists(complete):
        sys.stderr.write('installing %s into %s, once\n' % (requirement, base))
        shutil.rmtree(base, ignore_errors=True)
        os.mkdir(base)
        with open(base + '.log', 'w+') as log:
            status = subprocess.call(
                [sys.executable, '-m', 'pip', 'install', '--user', requirement],
                env=dict(os.environ, PYTHONUSERBASE=base), stdout=log, stderr=subprocess.STDOUT)
            log.seek(0)
            if status != 0:
                sys.exit('pip failed:\n' + ''.join(log.readlines()[-8:]))
        open(complete, 'w').close()

print base
