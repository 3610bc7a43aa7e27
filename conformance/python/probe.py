import sys

if sys.version_info[:2] != (2, 7):
    sys.exit('is a Python %d.%d' % sys.version_info[:2])
try:
    import pip
except ImportError:
    sys.exit('has no pip')
