# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Sourced by the scripts of contrib/: installs Debian packages, as root or through sudo, and only
# those that are missing, so that a second run asks nobody for anything.
#
#     . "$(dirname "$0")/lib/packages.sh"
#     install_packages gcc make libev-dev
#     install_node
#     unpack_program prometheus usr/bin/promtool build/promtool

# Prints those of the named packages that are not installed.
packages_missing() {
	for package; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
		'install ok installed') ;;
		*) echo "$package" ;;
		esac
	done
}

# Runs its arguments as root, or says why it cannot.
packages_as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		echo "this needs root: $*" >&2
		echo "run it as root, or install sudo, and start again" >&2
		return 1
	fi
}

install_packages() {
	if ! command -v dpkg-query >/dev/null 2>&1; then
		echo "this is not Debian or a relative; please install what matches: $*" >&2
		return 1
	fi
	packages_wanted=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$packages_wanted" ] || return 0
	echo "installing $packages_wanted"
	# A machine that has never fetched its lists of packages knows none of them; one whose lists
	# are old may ask for versions that the mirror no longer has. Hence always the lists first.
	packages_as_root apt-get -qq update || return 1
	# shellcheck disable=SC2086 # a list
	packages_as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends $packages_wanted >/dev/null || return 1
	packages_left=$(packages_missing "$@" | tr '\n' ' ')
	[ -z "$packages_left" ] || {
		echo "still missing: $packages_left" >&2
		return 1
	}
}

# To be called before postgresql is installed, by those who start PostgreSQL servers of their own.
no_cluster_of_debians() {
	[ -e /etc/postgresql-common/createcluster.conf ] ||
		packages_as_root sh -c 'mkdir -p /etc/postgresql-common &&
			echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf'
}

# One program out of a package whose services are not wanted: the package is not installed, so nothing of it
# is started, and the other packages that it names are not needed.
unpack_program() {
	[ ! -x "$3" ] || return 0
	command -v apt-get >/dev/null 2>&1 || {
		echo "this is not Debian or a relative; please put $2 of $1 at $3" >&2
		return 1
	}
	echo "unpacking $2 of $1"
	unpack_directory=$(mktemp -d) || return 1
	# The lists may never have been fetched, or be too old for the mirror.
	(cd "$unpack_directory" && { apt-get -qq download "$1" >/dev/null 2>&1 ||
		{ packages_as_root apt-get -qq update && apt-get -qq download "$1" >/dev/null; }; }) &&
		dpkg-deb --fsys-tarfile "$unpack_directory"/*.deb | tar -x -O "./$2" >"$unpack_directory/program" &&
		[ -s "$unpack_directory/program" ] && chmod 755 "$unpack_directory/program" &&
		mkdir -p "$(dirname "$3")" && mv "$unpack_directory/program" "$3"
	unpack_status=$?
	rm -rf "$unpack_directory"
	return "$unpack_status"
}

# npm, from wherever it may already come: Debian's own conflicts with that of other sources.
install_node() {
	command -v npm >/dev/null 2>&1 || install_packages nodejs npm
}
