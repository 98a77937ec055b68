# Sourced by the install scripts: installs what a requirements file pins by hash from PyPI into a folder of its own.
# shellcheck shell=sh

# pip_install_pinned FOLDER REQUIREMENTS [PIP OPTION..]: nothing happens where the folder holds just that already.
pip_install_pinned() {
    folder=$1
    requirements=$2
    shift 2
    stamp="$folder/installed.txt"
    if cmp -s "$requirements" "$stamp"; then return 0; fi
    if ! python3 -m pip --version >/dev/null 2>&1; then
        if ! has_apt || ! can_be_root; then
            say "Python 3 with pip is needed (Debian: sudo apt-get install python3-pip)."
            return 1
        fi
        apt_install python3-pip
    fi
    rm -rf "$folder"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-input --target "$folder" \
        --no-deps --only-binary=:all: --require-hashes -r "$requirements" "$@" >&2 || return 1
    cp "$requirements" "$stamp"
}
