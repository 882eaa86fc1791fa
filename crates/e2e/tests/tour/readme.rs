//! What a document shows in fenced blocks, and the commands of a block as a shell would read them.

use std::process::Command;

/// One fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The word after the fence.
    pub language: String,
    /// What is between the fences.
    pub text: String,
    /// The line of its opening fence, from 1.
    pub line: usize,
}

/// The fenced blocks of a Markdown text, in order.
///
/// # Panics
/// When the last one has no end.
#[must_use]
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in markdown.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.trim().to_owned(), text: String::new(), line: at + 1 });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the block of {open:?} has no end");
    found
}

/// The commands of a block: as many lines each as bash needs to have read a whole one, so that here-documents, quotes and continued lines
/// stay together.
///
/// # Panics
/// When bash is not there, or the last command has no end.
#[must_use]
pub fn commands(block: &Block) -> Vec<String> {
    let mut found = Vec::new();
    let mut partial = String::new();
    for line in block.text.lines() {
        partial.push_str(line);
        partial.push('\n');
        if !line.ends_with('\\') && whole(&partial) {
            found.push(std::mem::take(&mut partial).trim().to_owned());
        }
    }
    assert!(partial.is_empty(), "the block at line {} ends within a command:\n{partial}", block.line);
    found.retain(|command| !command.is_empty());
    found
}

/// Whether bash reads `text` to its end without a complaint; it warns of a here-document that is still open.
fn whole(text: &str) -> bool {
    let read = Command::new("bash").args(["-n", "-c", text]).output().expect("bash can be run");
    read.status.success() && read.stderr.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language_and_line() {
        let found = blocks("text\n```sh\na\nb\n```\n`x`\n```text\nc\n```\n");
        let block = |language: &str, text: &str, line| Block { language: language.into(), text: text.into(), line };
        assert_eq!(found, [block("sh", "a\nb\n", 2), block("text", "c\n", 7)]);
    }

    #[test]
    fn a_command_ends_where_bash_says_so() {
        let text = "cat > f <<'EOF'\nit's\n\nEOF\na 'b\nc' |\nd \\\n  e\nlast # comment\n";
        let block = Block { language: "sh".into(), text: text.into(), line: 1 };
        assert_eq!(commands(&block), ["cat > f <<'EOF'\nit's\n\nEOF", "a 'b\nc' |\nd \\\n  e", "last # comment"]);
    }
}
