//! Which tables there are, and what is in them.

/// A table.
pub(super) struct Table {
    pub name: &'static str,
    /// Each with its type of Table Schema; `any` is JSON. `when.day` is a field inside `when`, and its column is `day`; what begins with `=` is in no record.
    pub columns: &'static [(&'static str, &'static str)],
    /// What tells rows apart.
    pub key: &'static [&'static str],
    /// Columns that name a row of another table, which is surely there: the column, the table, and its key.
    pub refers: &'static [(&'static str, &'static str, &'static str)],
}

const S: &str = "string";

/// What a column is called in the file.
pub(super) fn column_name(column: &str) -> &str {
    let inner = column.split_once('.').map_or(column, |(_, field)| field);
    inner.strip_prefix('=').unwrap_or(inner)
}

/// All tables, those that others refer to first.
pub(super) const TABLES: [Table; 13] = [
    Table {
        name: "owners",
        columns: &[("id", S), ("name", S), ("created", "datetime"), ("settings", "object"), ("extra", "object")],
        key: &["id"],
        refers: &[],
    },
    Table {
        name: "people",
        columns: &[("id", S), ("name", S), ("aliases", "array"), ("born", S), ("custom", "object"), ("extra", "object")],
        key: &["id"],
        refers: &[],
    },
    Table {
        name: "places",
        columns: &[
            ("id", S),
            ("name", S),
            ("locality", S),
            ("area", S),
            ("country", S),
            ("position.latitude", "number"),
            ("position.longitude", "number"),
            ("position.altitude", "number"),
            ("position.accuracy", "number"),
            ("custom", "object"),
            ("extra", "object"),
        ],
        key: &["id"],
        refers: &[],
    },
    Table {
        name: "collections",
        columns: &[("id", S), ("name", S), ("kind", S), ("description", S), ("parent", S), ("custom", "object"), ("extra", "object")],
        key: &["id"],
        refers: &[],
    },
    Table { name: "tags", columns: &[("name", S), ("colour", S), ("description", S), ("extra", "object")], key: &["name"], refers: &[] },
    Table {
        name: "memories",
        columns: &[
            ("id", S),
            ("kind", S),
            ("title", S),
            ("text", S),
            ("language", S),
            ("when.day", "date"),
            ("when.instant", "datetime"),
            ("when.edtf", S),
            ("when.zone", S),
            ("created", "datetime"),
            ("modified", "datetime"),
            ("place", S),
            ("position.latitude", "number"),
            ("position.longitude", "number"),
            ("position.altitude", "number"),
            ("position.accuracy", "number"),
            ("visibility", S),
            ("sensitivity", S),
            ("starred", "boolean"),
            ("source", "object"),
            ("provenance", "object"),
            ("extra", "object"),
        ],
        key: &["id"],
        refers: &[],
    },
    Table {
        name: "attachments",
        columns: &[
            ("=memory", S),
            ("=number", "integer"),
            ("=path", S),
            ("key", S),
            ("name", S),
            ("mediaType", S),
            ("medium.bytes", "integer"),
            ("medium.sha256", S),
            ("role", S),
            ("of", S),
            ("alt", S),
            ("caption", S),
            ("camera", S),
            ("captured.day", "date"),
            ("captured.instant", "datetime"),
            ("captured.edtf", S),
            ("captured.zone", S),
            ("position.latitude", "number"),
            ("position.longitude", "number"),
            ("position.altitude", "number"),
            ("position.accuracy", "number"),
            ("width", "integer"),
            ("height", "integer"),
            ("orientation", "integer"),
            ("problem", S),
            ("expected", "object"),
            ("custom", "object"),
            ("extra", "object"),
        ],
        key: &["memory", "key"],
        refers: &[("memory", "memories", "id")],
    },
    Table {
        name: "members",
        columns: &[("=memory", S), ("collection", S), ("position", S), ("extra", "object")],
        key: &["collection", "memory"],
        refers: &[("memory", "memories", "id")],
    },
    Table {
        name: "memory_tags",
        columns: &[("=memory", S), ("=tag", S)],
        key: &["memory", "tag"],
        refers: &[("memory", "memories", "id")],
    },
    Table {
        name: "memory_people",
        columns: &[("=memory", S), ("=person", S)],
        key: &["memory", "person"],
        refers: &[("memory", "memories", "id")],
    },
    Table {
        name: "custom",
        columns: &[("=memory", S), ("=key", S), ("value", "any")],
        key: &["memory", "key"],
        refers: &[("memory", "memories", "id")],
    },
    Table {
        name: "consents",
        columns: &[("id", S), ("at", "datetime"), ("person", S), ("purpose", S), ("state", S), ("wording", S), ("extra", "object")],
        key: &["id"],
        refers: &[],
    },
    Table {
        name: "insights",
        columns: &[("id", S), ("name", S), ("at", "datetime"), ("value", "any"), ("derivedFrom", "array"), ("extra", "object")],
        key: &["id"],
        refers: &[],
    },
];
