#!/bin/sh
# Build the independent verifier from Debian's packages golang-go and golang-golang-x-mod-dev; no network.
set -eu
cd "$(dirname "$0")"
GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= exec go build -trimpath -o "${1:-verifier-go}" .
