//! Everything of a node but its content: permissions, owners, times, attributes, and files that are none.

use std::{
    fmt::Display,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, fchown, lchown, symlink},
    },
    path::Path,
};

use xattr::FileExt;

use super::parts::made_anew;
use crate::{Node, NodeKind, folder::unix_mode};

/// Makes what is no file: what is in its place stays until it is made.
pub(super) fn make_special(node: &Node, target: &Path, part: &Path, overwrite: bool) -> io::Result<()> {
    let kind = match node.kind {
        NodeKind::Symlink => None,
        NodeKind::Fifo => Some(rustix::fs::FileType::Fifo),
        NodeKind::Device => Some(rustix::fs::FileType::BlockDevice),
        NodeKind::CharDevice => Some(rustix::fs::FileType::CharacterDevice),
        // A socket lives only as long as the process that made it; restic does not bring it back either.
        _ => return Ok(()),
    };
    let make = |place: &Path| match kind {
        None => symlink(std::ffi::OsStr::from_bytes(&node.link_target), place),
        Some(kind) => make_node(place, kind, node),
    };
    match make(target) {
        Err(error) if overwrite && error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    made_anew(part, |there| !there.is_dir(), make)?;
    let named = fs::rename(part, target);
    if named.is_err() {
        drop(fs::remove_file(part));
    }
    named
}

fn make_node(target: &Path, kind: rustix::fs::FileType, node: &Node) -> io::Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(unix_mode(node.mode));
    rustix::fs::mknodat(rustix::fs::CWD, target, kind, mode, node.device).map_err(io::Error::from)
}

/// All that can be had; the first thing that cannot be is told: what this file system or user refuses must not cost the file the rest.
pub(super) fn apply_meta(target: &Path, node: &Node) -> io::Result<()> {
    if node.kind == NodeKind::Socket {
        return Ok(());
    }
    let owner = given(|| lchown(target, Some(node.uid), Some(node.gid)));
    let attributes = each_attribute(node, |name, value| xattr::set(target, name, value));
    let mode = if node.kind == NodeKind::Symlink {
        Ok(())
    } else {
        told("the permissions", fs::set_permissions(target, permissions(node, &owner)))
    };
    let times = rustix::fs::utimensat(rustix::fs::CWD, target, &timestamps(node), rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    owner.and(attributes).and(mode).and(told("the times", times.map_err(io::Error::from)))
}

/// As [`apply_meta`], to a file that is open.
pub(super) fn apply_meta_to_file(file: &fs::File, node: &Node) -> io::Result<()> {
    dress(file, node, given(|| fchown(file, Some(node.uid), Some(node.gid))))
}

fn dress(file: &fs::File, node: &Node, owner: io::Result<()>) -> io::Result<()> {
    let attributes = each_attribute(node, |name, value| file.set_xattr(name, value));
    let times = rustix::fs::futimens(file, &timestamps(node));
    // Last: a change of owner takes the special bits away; and what others may read or run is complete but for its name by then.
    let mode = told("the permissions", file.set_permissions(permissions(node, &owner)));
    owner.and(attributes).and(mode).and(told("the times", times.map_err(io::Error::from)))
}

/// Only the superuser may give files away; everybody else keeps what is restored.
fn given(give: impl Fn() -> io::Result<()>) -> io::Result<()> {
    if rustix::process::geteuid().is_root() { told("the owner", give()) } else { Ok(()) }
}

/// A program that runs as its owner must not run as another one, who could not be replaced.
fn permissions(node: &Node, owner: &io::Result<()>) -> fs::Permissions {
    let mode = unix_mode(node.mode);
    fs::Permissions::from_mode(if owner.is_ok() { mode } else { mode & !0o6000 })
}

/// One that is refused does not keep the next from being set.
fn each_attribute(node: &Node, set: impl Fn(&str, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let each = node.xattrs.iter().map(|(name, value)| told(format_args!("the attribute {name}"), set(name, value)));
    each.fold(Ok(()), Result::and)
}

fn told(what: impl Display, done: io::Result<()>) -> io::Result<()> {
    done.map_err(|e| io::Error::new(e.kind(), format!("{what} could not be set: {e}")))
}

fn timestamps(node: &Node) -> rustix::fs::Timestamps {
    let spec = |text: &str| {
        let at = text.parse::<jiff::Timestamp>().map_or(0, |at| at.as_nanosecond());
        rustix::fs::Timespec { tv_sec: at.div_euclid(1_000_000_000) as i64, tv_nsec: at.rem_euclid(1_000_000_000) as _ }
    };
    rustix::fs::Timestamps { last_access: spec(&node.atime), last_modification: spec(&node.mtime) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn node() -> Node {
        // As Go writes a program that runs as its owner.
        Node { mode: 0o755 | (1 << 23), ..Node::bare(b"file".to_vec(), NodeKind::File, "2024-01-02T03:04:05Z") }
    }

    const TIME: i64 = 1_704_164_645;

    #[test]
    fn an_owner_that_cannot_be_had_costs_only_the_special_bits() {
        let file = tempfile::NamedTempFile::new().expect("space");
        let look = || file.as_file().metadata().map(|meta| (meta.mode() & 0o7777, meta.mtime())).expect("metadata");
        dress(file.as_file(), &node(), Ok(())).expect("all of it");
        assert_eq!(look(), (0o4755, TIME));
        let refused = told("the owner", Err(rustix::io::Errno::PERM.into()));
        let error = dress(file.as_file(), &node(), refused).expect_err("told").to_string();
        assert!(error.starts_with("the owner could not be set: "), "{error}");
        assert_eq!(look(), (0o755, TIME));
    }

    // Elsewhere attributes may be called anything.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_refused_attribute_is_named_and_the_others_are_set() {
        let file = tempfile::NamedTempFile::new().expect("space");
        let known = xattr::set(file.path(), "user.probe", b"1").is_ok();
        let attributes = ["no-such-space.first", "user.kept", "no-such-space.last"];
        let mut node = Node { xattrs: attributes.map(|name| (name.to_owned(), b"value".to_vec())).to_vec(), ..node() };
        (node.uid, node.gid) = file.as_file().metadata().map(|meta| (meta.uid(), meta.gid())).expect("metadata");
        for by_path in [false, true] {
            let done = if by_path { apply_meta(file.path(), &node) } else { apply_meta_to_file(file.as_file(), &node) };
            let error = done.expect_err("told").to_string();
            assert!(error.starts_with("the attribute no-such-space.first could not be set: "), "{error}");
            let meta = file.as_file().metadata().expect("metadata");
            assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o4755, TIME));
            let kept = xattr::get(file.path(), "user.kept").unwrap_or_default();
            assert_eq!(kept.is_some(), known, "where the file system knows any");
            drop(xattr::remove(file.path(), "user.kept"));
        }
    }
}
