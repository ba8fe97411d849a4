#!/usr/bin/env bash
# Builds the module for Debian's nginx, by the headers and the configuration of its package nginx-dev:
#     build.sh FOLDER      leaves FOLDER/ngx_http_malti_module.so
# Where libmalti is: MALTI_INCLUDE and MALTI_LIBS, as the file `config` says.
set -euo pipefail
sources=/usr/share/nginx/src
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:?where to}"
folder=$(cd "$1" && pwd)

# Its build writes into its source tree.
rm -rf "$folder/src"
cp -r "$sources" "$folder/src"
cd "$folder/src"
NGX_CONF_FLAGS=()
# shellcheck source=/dev/null
. ./conf_flags
./configure "${NGX_CONF_FLAGS[@]}" --add-dynamic-module="$here" >"$folder/configure.log"
make --no-print-directory --silent -f objs/Makefile modules
mv objs/ngx_http_malti_module.so "$folder/"
