#!/bin/sh
# Makes the pictures in docs/screenshots anew: every page of the console, in a real Chromium, in states
# that the real services come into between the stand-ins. Takes some minutes.
set -eu
cd "$(dirname "$0")/.."
tests/packages.sh pictures
folder=docs/screenshots
rm -rf "$folder"
cargo test --locked -p mosync --test screenshots
# A page has few colours: a quarter of the bytes, and the same to look at.
pngquant --force --skip-if-larger --strip --speed 1 --ext .png 64 "$folder"/*.png || [ $? -eq 98 ]
du -sh "$folder"
