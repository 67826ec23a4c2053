//! The schema of our XML (XSD 1.0), from the same shapes as the XML itself.

use std::collections::BTreeMap;

use super::{
    NAMESPACE, RECORDS,
    shape::{Field, Shape, shapes},
};

/// What all schemas begin with.
const HEAD: &str = r#"  <xs:complexType name="Text">
    <xs:annotation><xs:documentation>Text. Where it bears escaped="true", \u0001 stands for a character that XML has no words for, and \\ for a backslash.</xs:documentation></xs:annotation>
    <xs:simpleContent>
      <xs:extension base="xs:string"><xs:attribute name="escaped" type="xs:boolean"/></xs:extension>
    </xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="Json">
    <xs:annotation><xs:documentation>A value as JSON.</xs:documentation></xs:annotation>
    <xs:simpleContent><xs:extension base="Text"/></xs:simpleContent>
  </xs:complexType>
  <xs:complexType name="Entries">
    <xs:annotation><xs:documentation>What has no field of its own: keys, and values as JSON.</xs:documentation></xs:annotation>
    <xs:sequence>
      <xs:element name="entry" minOccurs="0" maxOccurs="unbounded">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="key" type="Text"/>
            <xs:element name="json" type="Text"/>
          </xs:sequence>
        </xs:complexType>
      </xs:element>
    </xs:sequence>
  </xs:complexType>
  <xs:simpleType name="LocalDay"><xs:restriction base="xs:date"/></xs:simpleType>
  <xs:simpleType name="Timestamp"><xs:restriction base="xs:dateTime"/></xs:simpleType>
  <xs:simpleType name="Sha256">
    <xs:restriction base="xs:string"><xs:pattern value="[0-9a-f]{64}"/></xs:restriction>
  </xs:simpleType>
"#;

/// The schema.
pub fn xsd() -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns=\"{NAMESPACE}\" targetNamespace=\"{NAMESPACE}\" elementFormDefault=\"qualified\">\n{HEAD}"
    );
    let shapes = shapes();
    for (name, around) in RECORDS {
        let Some(Field { shape: Shape::Fields(fields), .. }) = shapes.get(name) else { continue };
        let kind = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        line(&mut out, 1, &format!("<xs:complexType name=\"{kind}\">"));
        all(fields, 2, &mut out);
        line(&mut out, 1, "</xs:complexType>");
        match around {
            None => line(&mut out, 1, &format!("<xs:element name=\"{name}\" type=\"{kind}\"/>")),
            Some(around) => {
                line(&mut out, 1, &format!("<xs:element name=\"{around}\">"));
                many(&format!("<xs:element name=\"{name}\" type=\"{kind}\" minOccurs=\"0\" maxOccurs=\"unbounded\"/>"), &mut out);
                line(&mut out, 1, "</xs:element>");
            }
        }
    }
    out.push_str("</xs:schema>\n");
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}

fn many(element: &str, out: &mut String) {
    for (depth, text) in [(2, "<xs:complexType>"), (3, "<xs:sequence>"), (4, element), (3, "</xs:sequence>"), (2, "</xs:complexType>")] {
        line(out, depth, text);
    }
}

/// Fields in any order, and what newer versions add.
fn all(fields: &BTreeMap<String, Field>, depth: usize, out: &mut String) {
    line(out, depth, "<xs:all>");
    for (name, field) in fields {
        let least = if field.is_required { "" } else { " minOccurs=\"0\"" };
        element(name, &field.shape, least, &field.about, depth + 1, out);
    }
    line(out, depth + 1, "<xs:element name=\"extra\" type=\"Entries\" minOccurs=\"0\"/>");
    line(out, depth, "</xs:all>");
}

fn element(name: &str, shape: &Shape, occurs: &str, about: &str, depth: usize, out: &mut String) {
    let kind = match shape {
        Shape::Text => Some("Text"),
        Shape::Form(form) => Some(form.as_str()),
        Shape::Whole => Some("xs:integer"),
        Shape::Number => Some("xs:double"),
        Shape::Flag => Some("xs:boolean"),
        Shape::Open => Some("Entries"),
        Shape::Json => Some("Json"),
        Shape::Word(_) | Shape::List(_) | Shape::Fields(_) => None,
    };
    let kind = kind.map(|kind| format!(" type=\"{kind}\"")).unwrap_or_default();
    line(out, depth, &format!("<xs:element name=\"{name}\"{kind}{occurs}>"));
    if !about.is_empty() {
        let about = about.replace('&', "&amp;").replace('<', "&lt;");
        line(out, depth + 1, &format!("<xs:annotation><xs:documentation>{about}</xs:documentation></xs:annotation>"));
    }
    match shape {
        Shape::Word(words) => {
            line(out, depth + 1, "<xs:simpleType>");
            line(out, depth + 2, "<xs:restriction base=\"xs:string\">");
            words.iter().for_each(|word| line(out, depth + 3, &format!("<xs:enumeration value=\"{word}\"/>")));
            line(out, depth + 2, "</xs:restriction>");
            line(out, depth + 1, "</xs:simpleType>");
        }
        Shape::List(inside) => {
            line(out, depth + 1, "<xs:complexType>");
            line(out, depth + 2, "<xs:sequence>");
            element("item", inside, " minOccurs=\"0\" maxOccurs=\"unbounded\"", "", depth + 3, out);
            line(out, depth + 2, "</xs:sequence>");
            line(out, depth + 1, "</xs:complexType>");
        }
        Shape::Fields(fields) => {
            line(out, depth + 1, "<xs:complexType>");
            all(fields, depth + 2, out);
            line(out, depth + 1, "</xs:complexType>");
        }
        _ => {}
    }
    line(out, depth, "</xs:element>");
}
