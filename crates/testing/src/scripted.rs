//! A server on loopback that answers as it is told to: for requests that no server here knows, with answers as manuals print them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What a request is answered with: a status, headers, and a body.
type Answer = (u16, Vec<(&'static str, String)>, String);
/// Chooses it by `METHOD /path?query` and the headers, with lower-case names.
type Choose = Box<dyn FnMut(&str, &BTreeMap<String, String>) -> Answer + Send>;

/// A running server; its thread ends with the program.
pub struct Scripted {
    address: SocketAddr,
}

impl Scripted {
    /// Starts one.
    ///
    /// # Panics
    /// Loopback has no port left.
    pub fn start(choose: impl FnMut(&str, &BTreeMap<String, String>) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let choose: Arc<Mutex<Choose>> = Arc::new(Mutex::new(Box::new(choose)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let choose = choose.clone();
                thread::spawn(move || drop(serve(&choose, stream)));
            }
        });
        Self { address }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(choose: &Mutex<Choose>, mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let target = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let mut headers = BTreeMap::new();
        line.clear();
        while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
            let (name, value) = line.split_once(':').unwrap_or_default();
            headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
            line.clear();
        }
        let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        reader.read_exact(&mut vec![0; length])?;
        let (status, answered, body) = choose.lock().expect("no holder panics")(&target, &headers);
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in &answered {
            head += &format!("{name}: {value}\r\n");
        }
        let body = if target.starts_with("HEAD ") { "" } else { &body };
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        line.clear();
    }
    Ok(())
}
