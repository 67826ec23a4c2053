//! Everything of a node but its content: permissions, owners, times, attributes, and files that are none.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, fchown, lchown, symlink},
    },
    path::Path,
};

use xattr::FileExt;

use crate::{Node, NodeKind, folder::unix_mode};

pub(super) fn make_special(node: &Node, target: &Path, overwrite: bool) -> io::Result<()> {
    if overwrite && fs::symlink_metadata(target).is_ok_and(|m| !m.is_dir()) {
        fs::remove_file(target)?;
    }
    match node.kind {
        NodeKind::Symlink => symlink(std::ffi::OsStr::from_bytes(&node.link_target), target),
        NodeKind::Fifo => make_node(target, rustix::fs::FileType::Fifo, node),
        NodeKind::Device => make_node(target, rustix::fs::FileType::BlockDevice, node),
        NodeKind::CharDevice => make_node(target, rustix::fs::FileType::CharacterDevice, node),
        // A socket lives only as long as the process that made it; restic does not bring it back either.
        _ => Ok(()),
    }
}

fn make_node(target: &Path, kind: rustix::fs::FileType, node: &Node) -> io::Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(unix_mode(node.mode));
    rustix::fs::mknodat(rustix::fs::CWD, target, kind, mode, node.device).map_err(io::Error::from)
}

pub(super) fn apply_meta(target: &Path, node: &Node) -> io::Result<()> {
    if node.kind == NodeKind::Socket {
        return Ok(());
    }
    // Only the superuser may give files away; everybody else keeps what is restored.
    if rustix::process::geteuid().is_root() {
        lchown(target, Some(node.uid), Some(node.gid))?;
    }
    // Attributes that this file system or user cannot have must not cost the file its permissions and time.
    let attributes = node.xattrs.iter().try_for_each(|(name, value)| xattr::set(target, name, value));
    if node.kind != NodeKind::Symlink {
        fs::set_permissions(target, fs::Permissions::from_mode(unix_mode(node.mode)))?;
    }
    rustix::fs::utimensat(rustix::fs::CWD, target, &timestamps(node), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    attributes
}

/// As [`apply_meta`], to a file that is open.
pub(super) fn apply_meta_to_file(file: &fs::File, node: &Node) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        fchown(file, Some(node.uid), Some(node.gid))?;
    }
    let attributes = node.xattrs.iter().try_for_each(|(name, value)| file.set_xattr(name, value));
    let times = rustix::fs::futimens(file, &timestamps(node));
    // Last: a change of owner takes the special bits away; and what others may read or run is complete but for its name by then.
    file.set_permissions(fs::Permissions::from_mode(unix_mode(node.mode)))?;
    times?;
    attributes
}

fn timestamps(node: &Node) -> rustix::fs::Timestamps {
    let spec = |text: &str| {
        let at = text.parse::<jiff::Timestamp>().map_or(0, |at| at.as_nanosecond());
        rustix::fs::Timespec { tv_sec: at.div_euclid(1_000_000_000) as i64, tv_nsec: at.rem_euclid(1_000_000_000) as _ }
    };
    rustix::fs::Timestamps { last_access: spec(&node.atime), last_modification: spec(&node.mtime) }
}
