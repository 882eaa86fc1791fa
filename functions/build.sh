#!/bin/bash
# Builds the functions of this folder anew, each beside its source, and runs the tests of their sources.
#
#   build.sh              all of them
#   build.sh NAME..       these
# The component that is checked in was built by the toolchain named in BUILT_BY; another one gives other bytes that do the same.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLSTREAM_CACHE:-$HOME/.cache/millstream}
export CARGO_TARGET_DIR=$cache/guests
# Paths of this machine do not belong into a component.
remap="--remap-path-prefix=$here=functions --remap-path-prefix=$(dirname "$here")=millstream --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
while IFS= read -r line; do
  export "${line?}"
done < <(bash "$here/toolchain.sh")
[ -n "${CARGO:-}" ] || exit 1
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS:-} $remap"
export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS=$remap

rust() { # folder, output, target, features
  echo "== $2"
  (cd "$here/$1" && "$CARGO" build --release --locked --target "$3" --features "$4")
  cp "$CARGO_TARGET_DIR/$3/release/${1//-/_}.wasm" "$here/$1/$2.wasm"
}

javascript() { # folder
  echo "== $1"
  (
    cd "$here/$1"
    # Versions are exact in package.json, and so are those of what they bring.
    npm install --no-audit --no-fund --no-package-lock --loglevel=error
    trap 'rm -f .entry.js .bundle.js' EXIT
    printf 'import * as user from "./src/index.js";\nimport { component } from "millstream";\nexport const transform = component(user);\n' > .entry.js
    npx esbuild .entry.js --bundle --format=esm --external:'millstream:*' --minify --log-level=warning --outfile=.bundle.js
    npx componentize-qjs --wit "$here/../wit/transform-1.0.0" -n function --js .bundle.js --sync --stub-wasi --minify -o "$1.wasm" > /dev/null
  )
}

for name in "${@:-filter flights-enrich hostile filter-js}"; do
  for folder in $name; do
    case $folder in
      filter-js) javascript filter-js ;;
      hostile)
        rust hostile hostile wasm32-unknown-unknown ""
        # The two that ask for WASI need a target that only rustup has.
        if [ "$CARGO" = cargo ] && [ -d "$(rustc --print target-libdir --target wasm32-wasip2)" ]; then
          rust hostile hostile-wasi wasm32-wasip2 wasi
          rust hostile hostile-sockets wasm32-wasip2 sockets
        fi
        ;;
      *)
        (cd "$here/$folder" && env -u CARGO_TARGET_DIR CARGO_TARGET_DIR="$cache/guests" cargo test --quiet --locked)
        rust "$folder" "$folder" wasm32-unknown-unknown ""
        ;;
    esac
  done
done
