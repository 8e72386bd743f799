//! A listener on this machine that speaks HTTP/1.1, and breaks off, redirects, refuses or changes its mind as a test asks.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::setup::Setup;

/// A strong ETag.
pub const V1: &str = "\"v1\"";

/// A request as it came in, header names in lower case.
#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// First byte asked for.
    pub fn offset(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    /// The same request without a header.
    pub fn without(&self, name: &str) -> Self {
        let mut request = self.clone();
        request.headers.remove(name);
        request
    }
}

/// What a test's hub answers.
#[derive(Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    pub cut: Option<usize>,
    /// Silence instead of the end of the connection, until the client hangs up.
    pub stall: bool,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// `body` as a file server sends it: whole, or the range asked for if the ETag still is `etag`.
    pub fn file(request: &Request, body: &[u8], etag: Option<&str>) -> Self {
        let same = request.header("if-range").is_none_or(|if_range| Some(if_range) == etag);
        let reply = match request.offset().filter(|_| same) {
            Some(offset) if offset >= body.len() => return Self::status(416),
            Some(offset) => {
                let range = format!("bytes {offset}-{}/{}", body.len() - 1, body.len());
                Self { status: 206, body: body[offset..].to_vec(), ..Self::default() }.with("Content-Range", &range)
            }
            None => Self { status: 200, body: body.to_vec(), ..Self::default() },
        };
        match etag {
            Some(etag) => reply.with("ETag", etag),
            None => reply,
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    pub fn stalling_after(mut self, bytes: usize) -> Self {
        self.stall = true;
        self.cut_after(bytes)
    }
}

/// A server of this test; requests are numbered from 0.
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (log.clone(), answer.clone());
                thread::spawn(move || {
                    let _ = serve(stream.unwrap(), &log, &*answer);
                });
            }
        });
        Self { address, requests }
    }

    /// One that sends `body`.
    pub fn file(body: &'static [u8], etag: Option<&'static str>) -> Self {
        Self::new(move |request, _| Reply::file(request, body, etag))
    }

    /// One that sends `body` with this ETag, the first time with a `change`.
    pub fn once(body: &'static [u8], etag: &'static str, change: fn(Reply) -> Reply) -> Self {
        Self::new(move |request, number| {
            let reply = Reply::file(request, body, Some(etag));
            if number == 0 {
                change(reply)
            } else {
                reply
            }
        })
    }

    /// One that sends everybody on to `store`.
    pub fn pointing_to(store: &Self) -> Self {
        let address = store.url();
        Self::new(move |_, _| Reply::status(302).with("Location", &address))
    }

    /// Downloads from it.
    pub fn setup(&self) -> Setup {
        Setup::new(&self.url())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// First byte asked for in each request.
    pub fn offsets(&self) -> Vec<Option<usize>> {
        self.requests().iter().map(Request::offset).collect()
    }
}

pub fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut headers = BTreeMap::new();
    for header in lines {
        let header = header?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_string());
    }
    Ok(Request { line, headers })
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request, usize) -> Reply,
) -> std::io::Result<()> {
    let request = read_request(&stream)?;
    let number = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    let reply = answer(&request, number);
    let length = reply.body.len();
    let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&reply.body[..reply.cut.unwrap_or(length).min(length)])?;
    if reply.stall {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let _ = stream.read(&mut [0]);
    }
    Ok(())
}
