//! Trees: one blob per folder, listing its nodes in byte order of their names.

use data_encoding::BASE64;
use serde::Deserialize;

use crate::{
    Id, RepositoryError, RepositoryResult,
    go_json::{push_bytes, push_string, quote, unquote},
};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it")]
pub enum NodeKind {
    File,
    Dir,
    Symlink,
    Device,
    CharDevice,
    Fifo,
    Socket,
}

const KINDS: [(NodeKind, &str); 7] = [
    (NodeKind::File, "file"),
    (NodeKind::Dir, "dir"),
    (NodeKind::Symlink, "symlink"),
    (NodeKind::Device, "dev"),
    (NodeKind::CharDevice, "chardev"),
    (NodeKind::Fifo, "fifo"),
    (NodeKind::Socket, "socket"),
];

/// Go's `os.ModeDir`, which restic stores instead of the Unix bits.
pub(crate) const MODE_DIR: u32 = 1 << 31;

/// One entry of a folder, with restic's fields and meanings.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name: any bytes but `/`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: NodeKind,
    /// Go's `os.FileMode` bits.
    pub mode: u32,
    /// RFC 3339 with up to nine digits after the second, as are the next two.
    pub mtime: String,
    /// Last access.
    pub atime: String,
    /// Last change of the entry.
    pub ctime: String,
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
    /// Inode number.
    pub inode: u64,
    /// Number of the device that holds it.
    pub device_id: u64,
    /// Length in bytes: the sum of its blobs.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// Where a symbolic link points.
    pub link_target: Vec<u8>,
    /// Extended attributes, by name.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// What other systems keep; carried as it is.
    pub generic_attributes: Option<serde_json::Value>,
    /// The device that a device node names.
    pub device: u64,
    /// The blobs of a file, in order.
    pub content: Option<Vec<Id>>,
    /// The tree of a folder.
    pub subtree: Option<Id>,
    /// What went wrong when it was read.
    pub error: String,
}

impl Node {
    /// A file with nothing of a file system about it: for virtual trees.
    pub fn virtual_file(name: &str, time: &str, content: Vec<Id>, size: u64) -> Self {
        Self { content: Some(content), size, mode: 0o644, ..Self::bare(name.as_bytes().to_vec(), NodeKind::File, time) }
    }

    /// A folder with nothing of a file system about it.
    pub fn virtual_dir(name: &str, time: &str, subtree: Id) -> Self {
        Self { subtree: Some(subtree), mode: MODE_DIR | 0o755, ..Self::bare(name.as_bytes().to_vec(), NodeKind::Dir, time) }
    }

    pub(crate) fn bare(name: Vec<u8>, kind: NodeKind, time: &str) -> Self {
        Self {
            name,
            kind,
            mode: 0,
            mtime: time.into(),
            atime: time.into(),
            ctime: time.into(),
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            link_target: Vec::new(),
            xattrs: Vec::new(),
            generic_attributes: None,
            device: 0,
            content: None,
            subtree: None,
            error: String::new(),
        }
    }

    /// The name for people.
    pub fn display_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = Fields { out, first: true };
        fields.text("name", &quote(&self.name));
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("file", |(_, word)| word);
        fields.text("type", kind);
        fields.number("mode", self.mode.into());
        fields.text("mtime", &self.mtime);
        fields.text("atime", &self.atime);
        fields.text("ctime", &self.ctime);
        fields.raw("uid", self.uid.to_string().as_bytes());
        fields.raw("gid", self.gid.to_string().as_bytes());
        fields.optional("user", &self.user);
        fields.optional("group", &self.group);
        fields.number("inode", self.inode);
        fields.number("device_id", self.device_id);
        fields.number("size", self.size);
        fields.number("links", self.links);
        if !self.link_target.is_empty() {
            fields.key("linktarget");
            push_bytes(fields.out, &self.link_target);
        }
        if std::str::from_utf8(&self.link_target).is_err() {
            fields.text("linktarget_raw", &BASE64.encode(&self.link_target));
        }
        if !self.xattrs.is_empty() {
            fields.key("extended_attributes");
            for (i, (name, value)) in self.xattrs.iter().enumerate() {
                fields.out.extend_from_slice(if i == 0 { b"[{\"name\":" } else { b",{\"name\":" });
                push_string(fields.out, name);
                fields.out.extend_from_slice(b",\"value\":");
                push_string(fields.out, &BASE64.encode(value));
                fields.out.push(b'}');
            }
            fields.out.push(b']');
        }
        if let Some(attributes) = self.generic_attributes.as_ref().filter(|a| a.as_object().is_some_and(|o| !o.is_empty())) {
            fields.raw("generic_attributes", attributes.to_string().as_bytes());
        }
        fields.number("device", self.device);
        match &self.content {
            None => fields.raw("content", b"null"),
            Some(ids) => {
                fields.key("content");
                fields.out.push(b'[');
                for (i, id) in ids.iter().enumerate() {
                    fields.out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
                    fields.out.extend_from_slice(id.to_string().as_bytes());
                    fields.out.push(b'"');
                }
                fields.out.push(b']');
            }
        }
        if let Some(subtree) = &self.subtree {
            fields.text("subtree", &subtree.to_string());
        }
        fields.optional("error", &self.error);
        fields.out.push(b'}');
    }
}

/// Writes the fields of one object in the order of the calls.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Fields<'_> {
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(if self.first { b"{\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn raw(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_string(self.out, value);
    }

    fn optional(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        if value != 0 {
            self.raw(key, value.to_string().as_bytes());
        }
    }
}

/// The nodes of one folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// In strictly rising byte order of their names.
    pub nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct TreeJson {
    nodes: Option<Vec<NodeJson>>,
}

#[derive(Deserialize)]
struct XattrJson {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(default)]
struct NodeJson {
    name: String,
    r#type: String,
    mode: u32,
    mtime: String,
    atime: String,
    ctime: String,
    uid: u32,
    gid: u32,
    user: String,
    group: String,
    inode: u64,
    device_id: u64,
    size: u64,
    links: u64,
    linktarget: String,
    linktarget_raw: Option<String>,
    extended_attributes: Option<Vec<XattrJson>>,
    generic_attributes: Option<serde_json::Value>,
    device: u64,
    content: Option<Vec<Id>>,
    subtree: Option<Id>,
    error: String,
}

impl Default for NodeJson {
    fn default() -> Self {
        let zero_time = || "0001-01-01T00:00:00Z".to_owned();
        Self {
            name: String::new(),
            r#type: String::new(),
            mode: 0,
            mtime: zero_time(),
            atime: zero_time(),
            ctime: zero_time(),
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            linktarget: String::new(),
            linktarget_raw: None,
            extended_attributes: None,
            generic_attributes: None,
            device: 0,
            content: None,
            subtree: None,
            error: String::new(),
        }
    }
}

impl Tree {
    /// The bytes of the tree's blob.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.nodes.len() * 320);
        out.extend_from_slice(b"{\"nodes\":[");
        for (i, node) in self.nodes.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            node.encode(&mut out);
        }
        out.extend_from_slice(b"]}\n");
        out
    }

    /// Reads a tree's blob.
    ///
    /// # Errors
    /// Not JSON, a name that does not unquote, an unknown type, or a node that lacks what its type needs.
    pub fn decode(id: Id, bytes: &[u8]) -> RepositoryResult<Self> {
        let bad = |problem: String| RepositoryError::damaged(format!("tree {}", id.short()), problem);
        let json: TreeJson = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        let nodes: Result<_, _> = json.nodes.unwrap_or_default().into_iter().map(|n| node_from(n).map_err(bad)).collect();
        Ok(Self { nodes: nodes? })
    }

    /// The node of a name.
    pub fn get(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

fn node_from(json: NodeJson) -> Result<Node, String> {
    let name = unquote(&json.name).ok_or_else(|| format!("the name `{}` is not quoted as it should be", json.name.escape_debug()))?;
    let kind = KINDS.iter().find(|(_, word)| *word == json.r#type).map(|(kind, _)| *kind);
    let kind = kind.ok_or_else(|| format!("`{}` is no type of node", json.r#type.escape_debug()))?;
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
        return Err(format!("`{}` is no name of a file", json.name.escape_debug()));
    }
    if kind == NodeKind::File && json.content.is_none() {
        return Err(format!("the file `{}` has no list of blobs", json.name));
    }
    if kind == NodeKind::Dir && json.subtree.is_none() {
        return Err(format!("the folder `{}` has no tree", json.name));
    }
    let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|e| e.to_string());
    let link_target = match &json.linktarget_raw {
        Some(raw) => decode(raw)?,
        None => json.linktarget.into_bytes(),
    };
    let xattrs: Result<Vec<_>, String> =
        json.extended_attributes.unwrap_or_default().into_iter().map(|x| Ok((x.name, decode(x.value.as_deref().unwrap_or(""))?))).collect();
    Ok(Node {
        name,
        kind,
        mode: json.mode,
        mtime: json.mtime,
        atime: json.atime,
        ctime: json.ctime,
        uid: json.uid,
        gid: json.gid,
        user: json.user,
        group: json.group,
        inode: json.inode,
        device_id: json.device_id,
        size: json.size,
        links: json.links,
        link_target,
        xattrs: xattrs?,
        generic_attributes: json.generic_attributes,
        device: json.device,
        content: json.content,
        subtree: json.subtree,
        error: json.error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_fields_in_the_order_of_the_format() {
        let id = Id::of(b"x");
        let mut file = Node::virtual_file("a&b", "2024-03-17T00:00:00Z", vec![id], 7);
        file.links = 2;
        file.xattrs.push(("user.x".into(), vec![1, 2]));
        let mut link = Node::bare(b"l\xff".to_vec(), NodeKind::Symlink, "2024-03-17T00:00:00Z");
        link.link_target = b"to\xfe".to_vec();
        let tree = Tree { nodes: vec![file, link, Node::virtual_dir("z", "2024-03-17T00:00:00Z", id)] };
        let text = String::from_utf8(tree.encode()).expect("UTF-8");
        let t = r#""mtime":"2024-03-17T00:00:00Z","atime":"2024-03-17T00:00:00Z","ctime":"2024-03-17T00:00:00Z","uid":0,"gid":0"#;
        assert_eq!(
            text,
            format!(
                "{{\"nodes\":[{{\"name\":\"a\\u0026b\",\"type\":\"file\",\"mode\":420,{t},\"size\":7,\"links\":2,\"extended_attributes\":[{{\"name\":\"user.x\",\"value\":\"AQI=\"}}],\"content\":[\"{id}\"]}},{{\"name\":\"l\\\\xff\",\"type\":\"symlink\",{t},\"linktarget\":\"to\\ufffd\",\"linktarget_raw\":\"dG/+\",\"content\":null}},{{\"name\":\"z\",\"type\":\"dir\",\"mode\":2147484141,{t},\"content\":null,\"subtree\":\"{id}\"}}]}}\n"
            )
        );
        assert_eq!(Tree::decode(id, text.as_bytes()).expect("readable"), tree);
        assert_eq!(Tree::default().encode(), b"{\"nodes\":[]}\n");
    }

    #[test]
    fn refuses_what_would_leave_the_folder_or_lose_data() {
        for bad in [
            "{",
            r#"{"nodes":[{"name":"..","type":"file","content":[]}]}"#,
            r#"{"nodes":[{"name":"a/b","type":"file","content":[]}]}"#,
            r#"{"nodes":[{"name":"a","type":"file"}]}"#,
            r#"{"nodes":[{"name":"a","type":"dir"}]}"#,
            r#"{"nodes":[{"name":"a","type":"portal"}]}"#,
        ] {
            assert!(Tree::decode(Id::of(b""), bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
