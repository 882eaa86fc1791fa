#!/bin/bash
# usage: sysroot.sh <target> <folder>
# Builds Rust's standard library for a WebAssembly target from Debian's own sources: for machines where rustup can add no target.
# Needs: apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src
set -euo pipefail
target=$1
sysroot=$2
lib=$sysroot/lib/rustlib/$target/lib
version=$(/usr/bin/rustc --version)
if [ -f "$lib/built-by" ] && [ "$(cat "$lib/built-by")" = "$version" ]; then
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src"
echo '#![no_std]' > "$work/src/lib.rs"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "sysroot"
version = "0.0.0"
edition = "2021"
[profile.release]
opt-level = 3
debug = false
[workspace]
TOML
cd "$work"
# The library's own few dependencies (dlmalloc and such) are not in Debian's package: cargo fetches them where it has not yet.
env -u RUSTUP_TOOLCHAIN -u CARGO_TARGET_DIR PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Cembed-bitcode=yes" \
  /usr/bin/cargo build --release -Zbuild-std=std,panic_abort --target "$target"
rm -rf "$lib"
mkdir -p "$lib"
cp "target/$target/release/deps/"lib*.rlib "$lib/"
rm -f "$lib"/libsysroot*
echo "$version" > "$lib/built-by"
