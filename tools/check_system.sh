#!/bin/sh
# What pip cannot install: venv, Python's headers, a C++ compiler. Installs them from Debian's packages where it may.
python=${1:-python3}
missing=""
"$python" -c "import ensurepip, venv" 2>/dev/null || missing="$missing python3-venv"
"$python" -c "import os, sysconfig; assert os.path.exists(sysconfig.get_path('include') + '/Python.h')" 2>/dev/null ||
    missing="$missing python3-dev"
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing Debian's$missing"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
    exit
fi
echo "brainsnn needs these Debian packages, please install them: apt-get install$missing" >&2
exit 1
