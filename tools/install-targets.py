#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# install-targets.py BUILD: the files that `meson install` takes from a build folder, one a line, as
# ninja names them. So `make install` builds these and not the tests.
import json
import os
import subprocess
import sys

build = os.path.abspath(sys.argv[1])
answer = subprocess.run(
    ["meson", "introspect", build, "--targets"], check=True, capture_output=True, text=True
)
for target in json.loads(answer.stdout):
    if target["installed"]:
        for name in target["filename"]:
            print(os.path.relpath(name, build))
