#!/bin/sh
# Checks ONNX files of models with onnxruntime:
#
#   check.sh BIN     BIN holds stylefleet and stylefleet-worker
#
# onnxruntime comes from PyPI, once, into the cache (deploy/setup/tools.sh). Needs what setup.sh --env prints.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tools=$("$here/../../deploy/setup/tools.sh" networks "$here/requirements.txt" 'onnxruntime and onnx: 51 MB, 206 MB on disk,')
STYLEFLEET=$1/stylefleet "$tools/python" -B -m unittest discover "$here"
