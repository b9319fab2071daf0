//! A web server: Debian's nginx with one answer, over HTTP and over TLS with a certificate of its own making.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::{Host, Server, process};

/// A web server to be.
#[derive(Debug)]
#[must_use = "a server runs only after `start`"]
pub struct Web {
    host: Host,
    answer: String,
    listens: Vec<(u16, bool)>,
}

impl Web {
    /// On this host, saying this in every answer.
    pub fn new(host: &Host, answer: &str) -> Self {
        Self { host: host.clone(), answer: answer.to_owned(), listens: Vec::new() }
    }

    /// Plain HTTP on a port.
    pub fn http(mut self, port: u16) -> Self {
        self.listens.push((port, false));
        self
    }

    /// HTTPS on a port.
    pub fn https(mut self, port: u16) -> Self {
        self.listens.push((port, true));
        self
    }

    /// Starts it, and waits until it listens on all its ports.
    ///
    /// # Errors
    /// nginx or openssl is missing or fails; the message holds what they said.
    pub fn start(self) -> Result<Server> {
        process::find("nginx")?;
        let Self { host, answer, listens } = self;
        let dir = host.lab().dir().join(format!("{}-web", host.name()));
        fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
        if listens.iter().any(|(_, secure)| *secure) {
            certify(&host, &dir)?;
        }
        let settings = dir.join("nginx.conf");
        fs::write(&settings, text(&dir, &answer, &listens))?;
        let settings = settings.to_string_lossy().into_owned();
        let mut server = host.spawn(["nginx", "-e", "stderr", "-c", &settings])?;
        for (port, _) in listens {
            server = server.listening("tcp", port)?;
        }
        Ok(server)
    }
}

fn certify(host: &Host, dir: &Path) -> Result<()> {
    let (key, certificate) = (dir.join("key.pem"), dir.join("cert.pem"));
    let (key, certificate) = (key.to_string_lossy(), certificate.to_string_lossy());
    let subject = format!("/CN={}", host.name());
    let key_kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let words =
        ["openssl", "req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate];
    process::run(words.into_iter().chain(key_kind))?.ok()?;
    Ok(())
}

/// One process in the foreground, with all its files in `dir`.
fn text(dir: &Path, answer: &str, listens: &[(u16, bool)]) -> String {
    let dir = dir.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {dir}/{kind};\n"))
        .collect();
    let listens: String = listens
        .iter()
        .map(|(port, secure)| {
            let tls = if *secure { " ssl" } else { "" };
            format!("    listen {port}{tls};\n    listen [::]:{port}{tls};\n")
        })
        .collect();
    let tls = if listens.contains(" ssl") {
        format!("    ssl_certificate {dir}/cert.pem;\n    ssl_certificate_key {dir}/key.pem;\n")
    } else {
        String::new()
    };
    format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {dir}/nginx.pid;\nevents {{}}\nhttp {{\n  \
         access_log off;\n{temporary}  server {{\n{listens}{tls}    location / {{ return 200 \"{answer}\\n\"; }}\n  \
         }}\n}}\n"
    )
}
