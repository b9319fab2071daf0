//! What is wrong in a file that a person wrote: where, why, and what would be right.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// Bytes of a file, from its start.
pub type Span = Range<usize>;

/// A host file longer than this is a mistake: one with as many flows as can be counted has a few megabytes.
const LONGEST: u64 = 16 << 20;

/// A file's name and text.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// As the user named it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Whether a finding stops the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is compiled.
    Error,
    /// Compiled, but worth a look.
    Warning,
}

/// One finding, in the form that `--json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// From 1; `None` where the finding is about the file as a whole.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// What would be right.
    pub help: Option<String>,
    /// The bytes that the caret stands under.
    #[serde(skip)]
    pub span: Option<Span>,
}

/// A file and everything found in it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The file.
    pub source: Source,
    /// In the order of the file once [`Report::sort`] has run.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// A report on `text` without findings.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { source: Source { name: name.into(), text: text.into() }, diagnostics: Vec::new() }
    }

    /// Reads a file; what prevents that is the report's first finding.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::of(path, File::open(path))
    }

    /// Reads a file that has been opened.
    #[must_use]
    pub fn of(path: &Path, file: io::Result<File>) -> Self {
        let mut report = Self::new(path.display().to_string(), String::new());
        match file.and_then(bytes) {
            Ok(bytes) => report.take(bytes),
            Err(error) => report.whole(
                Severity::Error,
                format!("cannot read {}: {error}", path.display()),
                "name a file that exists and that this user may read",
            ),
        }
        report
    }

    fn take(&mut self, bytes: Vec<u8>) {
        match String::from_utf8(bytes) {
            Ok(text) => self.source.text = text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                self.source.text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                self.error(at..at + 1, "the file is not UTF-8 from here on", "save it with UTF-8 encoding");
            }
        }
    }

    /// Adds an error at a place in the text.
    pub fn error(&mut self, at: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, at, message.into(), help.into());
    }

    /// Adds a warning at a place in the text.
    pub fn warning(&mut self, at: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, at, message.into(), help.into());
    }

    /// Adds a finding about the file as a whole.
    pub fn whole(&mut self, severity: Severity, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic {
            severity,
            message: message.into(),
            line: None,
            column: None,
            help: Some(help.into()),
            span: None,
        });
    }

    fn push(&mut self, severity: Severity, at: Span, message: String, help: String) {
        let (line, column) = self.source.locate(at.start);
        let help = (!help.is_empty()).then_some(help);
        let (line, column, span) = (Some(line), Some(column), Some(at));
        self.diagnostics.push(Diagnostic { severity, message, line, column, help, span });
    }

    /// Puts the findings into the order of the file.
    pub fn sort(&mut self) {
        self.diagnostics.sort_by_key(|d| (d.span.as_ref().map_or(0, |s| s.start), d.severity));
    }

    /// Whether anything found stops the work.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings of this severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }

    /// All findings as text, each with its line and a caret; coloured when `styled`.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            text.push_str(&self.source.render(diagnostic, &renderer));
            text.push_str("\n\n");
        }
        text
    }
}

impl Source {
    /// Line and column, from 1, of a byte; the column counts characters.
    fn locate(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    }

    fn render(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let Some(span) = diagnostic.span.clone() else {
            let help = diagnostic.help.as_deref().unwrap_or_default();
            let title = level.primary_title(&diagnostic.message);
            return renderer.render(&[title.element(Level::HELP.message(help))]);
        };
        let marked = Snippet::source(&self.text)
            .path(&self.name)
            .annotation(AnnotationKind::Primary.span(self.first_line(span)));
        let group = level.primary_title(&diagnostic.message).element(marked);
        match &diagnostic.help {
            Some(help) => renderer.render(&[group.element(Level::HELP.message(help))]),
            None => renderer.render(&[group]),
        }
    }

    /// The part of a span that stands on its first line: a caret under whole tables helps nobody.
    ///
    /// Its ends are moved to whole characters, since a renderer panics within one.
    fn first_line(&self, span: Span) -> Span {
        let (start, end) =
            (self.text.floor_char_boundary(span.start), self.text.ceil_char_boundary(span.end));
        let line_end = self.text.get(start..).and_then(|rest| rest.find('\n')).map(|at| start + at);
        start..line_end.map_or(end, |line_end| end.min(line_end)).max(start)
    }
}

/// The whole file; a device that never ends is cut off.
fn bytes(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST) {
        return Ok(bytes);
    }
    let text = format!("no host file needs more than {LONGEST} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters() {
        let source = Source { name: String::new(), text: "a\nüb = 1\n".into() };
        assert_eq!(source.locate(0), (1, 1));
        assert_eq!(source.locate(4), (2, 2));
        assert_eq!(source.locate(99), (3, 1));
    }

    #[test]
    fn a_finding_shows_file_line_caret_and_help() {
        let mut report = Report::new("host.toml", "[host]\nnme = \"x\"\n");
        report.error(7..10, "unknown key `nme`", "did you mean `name`?");
        let text = report.render(false);
        for part in
            ["error: unknown key `nme`", "host.toml:2:1", "nme = \"x\"", "^^^", "help: did you mean `name`?"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn broken_encoding_has_a_place() {
        let mut report = Report::new("host.toml", "");
        report.take(b"[host]\nname = \"\xff\"\n".to_vec());
        assert_eq!((report.diagnostics[0].line, report.diagnostics[0].column), (Some(2), Some(9)));
        assert!(report.has_errors());
        assert!(report.render(false).contains("the file is not UTF-8 from here on"));
    }

    #[test]
    fn an_unreadable_file_is_a_finding() {
        let report = Report::read(Path::new("/nonexistent/host.toml"));
        assert!(report.diagnostics[0].message.starts_with("cannot read /nonexistent/host.toml: "));
        assert!(report.render(false).contains("/nonexistent/host.toml"));
        let endless = Report::read(Path::new("/dev/zero"));
        assert!(endless.diagnostics[0].message.contains("no host file needs more than"));
    }
}
