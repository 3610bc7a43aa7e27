"""Runs the suite's fuzzing server on a free port of the loopback interface: serve.py SCRATCH (Python 2.7).

Prints the port once it listens. Ends on SIGTERM, or when standard input ends, which tells that the parent is gone."""

import os
import shutil
import sys
import threading

# wstest prints to standard output, which is for the port alone here.
announcement = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)

from autobahntestsuite import wstest  # chooses the reactor, so it must come before any other import of Twisted
from autobahntestsuite import fuzzing
from twisted.internet import reactor

scratch = sys.argv[1]
stock_listen = fuzzing.listenWS
orphaned = threading.Event()


def listen_on_loopback(factory, context=None):
    listener = stock_listen(factory, context, interface='127.0.0.1')
    announcement.write('%d\n' % listener.getHost().port)
    announcement.close()
    return listener


def stop_with_parent():
    sys.stdin.read()
    orphaned.set()
    reactor.callFromThread(reactor.stop)


watch = threading.Thread(target=stop_with_parent)
watch.daemon = True
watch.start()

fuzzing.listenWS = listen_on_loopback
sys.argv = ['wstest', '-m', 'fuzzingserver', '-s', os.path.join(scratch, 'spec.json'), '-u', '0']
wstest.run()

if orphaned.is_set():
    shutil.rmtree(scratch, ignore_errors=True)
