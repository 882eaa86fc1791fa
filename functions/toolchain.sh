#!/bin/bash
# Finds or installs what builds the functions, and prints it as lines NAME=VALUE for the environment of cargo. Run it as often as you like.
#
# In this order: the Rust target that rustup has or can add; Debian's rustc-web with a standard library built from its sources.
# FUNCTIONS_TOOLCHAIN=rustup|debian asks for one of them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLSTREAM_CACHE:-$HOME/.cache/millstream}
wanted=${FUNCTIONS_TOOLCHAIN:-}

linker() {
  local sysroot
  for sysroot in "$(rustc --print sysroot 2>/dev/null)" "$HOME"/.rustup/toolchains/*; do
    for found in "$sysroot"/lib/rustlib/*/bin/wasm-component-ld; do
      if [ -x "$found" ]; then
        echo "$found"
        return
      fi
    done
  done
  command -v wasm-component-ld && return
  echo "wasm-component-ld was not found: it comes with Rust 1.82 and later from rustup, or by: cargo install wasm-component-ld" >&2
  exit 1
}

has_target() {
  [ -d "$(rustc --print target-libdir --target "$1" 2>/dev/null)" ]
}

if [ "$wanted" != debian ] && command -v rustc > /dev/null; then
  if ! has_target wasm32-unknown-unknown && command -v rustup > /dev/null; then
    rustup target add wasm32-unknown-unknown wasm32-wasip2 >&2 || true
  fi
  if has_target wasm32-unknown-unknown; then
    echo "CARGO=cargo"
    echo "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(linker)"
    exit 0
  fi
fi
if [ "$wanted" = rustup ]; then
  echo "rustup has no target wasm32-unknown-unknown and could not add it" >&2
  exit 1
fi
if ! [ -x /usr/bin/rustc ] || ! [ -x /usr/bin/cargo ] || ! dpkg -s rust-web-src > /dev/null 2>&1; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src; } >&2 || {
    echo "no Rust target for WebAssembly. Run: rustup target add wasm32-unknown-unknown; or on Debian: apt-get install rustc-web cargo-web rust-web-src" >&2
    exit 1
  }
fi
bash "$here/sysroot.sh" wasm32-unknown-unknown "$cache/wasm-sysroot" >&2
linker=$(linker)
flags=--sysroot=$cache/wasm-sysroot
# rustup's rustc shows its linker the way to wasm-ld; Debian's does not.
beside=$(dirname "$linker")/gcc-ld/wasm-ld
if [ -x "$beside" ]; then
  flags="$flags -Clink-arg=--wasm-ld-path=$beside"
elif ! command -v wasm-ld > /dev/null; then
  echo "wasm-ld was not found. On Debian: apt-get install lld" >&2
  exit 1
fi
echo "CARGO=/usr/bin/cargo"
echo "RUSTC=/usr/bin/rustc"
echo "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags"
echo "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker"
