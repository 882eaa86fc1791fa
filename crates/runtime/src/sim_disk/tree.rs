//! The folders of a simulated disk: names as they are, names as they would be after a power cut, and the changes between the two.

use super::file::{Nature, SimFile};
use crate::disk::EntryKind;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The place of a folder in the tree's list.
type FolderId = usize;
const ROOT: FolderId = 0;
const ABSOLUTE: FolderId = 1;

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Node {
    File(Arc<SimFile>),
    Folder(FolderId),
}

/// A change of a folder's names that its next sync makes durable. A power cut keeps the first few of them.
#[derive(Clone)]
enum Change {
    Set(String, Node),
    Unset(String),
    /// At once, as every file system renames.
    Rename(String, String),
}

type Names = BTreeMap<String, Node>;

#[derive(Default)]
struct Folder {
    live: Names,
    durable: Names,
    pending: Vec<Change>,
}

impl Folder {
    fn change(&mut self, change: Change) {
        apply(&mut self.live, change.clone());
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, change);
        }
    }
}

fn apply(names: &mut Names, change: Change) {
    match change {
        Change::Set(name, node) => {
            names.insert(name, node);
        }
        Change::Unset(name) => {
            names.remove(&name);
        }
        Change::Rename(from, to) => {
            if let Some(node) = names.remove(&from) {
                names.insert(to, node);
            }
        }
    }
}

/// Every folder that ever was, by its place. The first is where relative paths begin; absolute ones begin in its folder "/".
pub(super) struct Tree {
    folders: Vec<Folder>,
}

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Self { folders: vec![Folder::default(), Folder::default()] };
        tree.folders[ROOT].change(Change::Set("/".to_owned(), Node::Folder(ABSOLUTE)));
        tree.folders[ROOT].sync();
        tree
    }
}

pub(super) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or folder", path.display()))
}

/// The path's words; where it says ".." it is refused, since nothing of ours does.
fn words(path: &Path) -> io::Result<Vec<&str>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{}: not a plain path", path.display()));
    let text = path.to_str().ok_or_else(invalid)?;
    let plain = text.split('/').filter(|word| !word.is_empty() && *word != ".");
    let words: Vec<&str> = text.starts_with('/').then_some("/").into_iter().chain(plain).collect();
    if words.contains(&"..") { Err(invalid()) } else { Ok(words) }
}

impl Tree {
    fn push(&mut self) -> FolderId {
        self.folders.push(Folder::default());
        self.folders.len() - 1
    }

    fn walk(&self, words: &[&str]) -> Option<FolderId> {
        words.iter().try_fold(ROOT, |folder, word| match self.folders[folder].live.get(*word) {
            Some(Node::Folder(id)) => Some(*id),
            Some(Node::File(_)) | None => None,
        })
    }

    fn folder(&self, path: &Path) -> io::Result<FolderId> {
        self.walk(&words(path)?).ok_or_else(|| not_found(path))
    }

    /// The folder that has, or would have, the path's last name.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(FolderId, &'a str)> {
        let words = words(path)?;
        let (name, parents) = words.split_last().ok_or_else(|| not_found(path))?;
        let parent = self.walk(parents).ok_or_else(|| not_found(path.parent().unwrap_or(path)))?;
        Ok((parent, name))
    }

    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        let words = words(path).ok()?;
        let Some((name, parents)) = words.split_last() else { return Some(Node::Folder(ROOT)) };
        self.folders[self.walk(parents)?].live.get(*name).cloned()
    }

    pub(super) fn add_file(&mut self, path: &Path, file: Arc<SimFile>) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        self.folders[parent].change(Change::Set(name.to_owned(), Node::File(file)));
        Ok(())
    }

    pub(super) fn add_folders(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for word in words(path)? {
            at = match self.folders[at].live.get(word) {
                Some(Node::Folder(id)) => *id,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let id = self.push();
                    self.folders[at].change(Change::Set(word.to_owned(), Node::Folder(id)));
                    id
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (old_parent, old) = self.parent(from)?;
        let (new_parent, new) = self.parent(to)?;
        let Some(node) = self.folders[old_parent].live.get(old).cloned() else { return Err(not_found(from)) };
        if old_parent == new_parent {
            self.folders[old_parent].change(Change::Rename(old.to_owned(), new.to_owned()));
        } else {
            // A journal keeps both ends or neither; simpler and as true: it is committed at once, with what came before it.
            self.folders[new_parent].change(Change::Set(new.to_owned(), node));
            self.folders[old_parent].change(Change::Unset(old.to_owned()));
            self.folders[new_parent].sync();
            self.folders[old_parent].sync();
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        match self.folders[parent].live.get(name) {
            Some(Node::File(_)) => self.folders[parent].change(Change::Unset(name.to_owned())),
            Some(Node::Folder(_)) | None => return Err(not_found(path)),
        }
        Ok(())
    }

    pub(super) fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        let id = self.folder(path)?;
        let (parent, name) = self.parent(path)?;
        self.empty(id);
        self.folders[parent].change(Change::Unset(name.to_owned()));
        Ok(())
    }

    fn empty(&mut self, id: FolderId) {
        let entries: Vec<(String, Node)> =
            self.folders[id].live.iter().map(|(name, node)| (name.clone(), node.clone())).collect();
        for (name, node) in entries {
            if let Node::Folder(below) = node {
                self.empty(below);
            }
            self.folders[id].change(Change::Unset(name));
        }
    }

    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let id = self.folder(path)?;
        self.folders[id].sync();
        Ok(())
    }

    /// Makes every name and every content durable.
    pub(super) fn sync_all(&mut self) {
        for folder in &mut self.folders {
            folder.sync();
            for node in folder.live.values() {
                if let Node::File(file) = node {
                    file.sync_now();
                }
            }
        }
    }

    pub(super) fn entries(&self, path: &Path) -> io::Result<Vec<(String, EntryKind)>> {
        let id = self.folder(path)?;
        let entries = self.folders[id].live.iter().map(|(name, node)| match node {
            Node::File(_) => (name.clone(), EntryKind::File),
            Node::Folder(_) => (name.clone(), EntryKind::Directory),
        });
        Ok(entries.collect())
    }

    /// Every file with its path, in the paths' order.
    pub(super) fn files(&self) -> Vec<(PathBuf, Arc<SimFile>)> {
        let mut found = Vec::new();
        self.collect(ROOT, Path::new(""), &mut found);
        found
    }

    fn collect(&self, id: FolderId, path: &Path, found: &mut Vec<(PathBuf, Arc<SimFile>)>) {
        for (name, node) in &self.folders[id].live {
            let path = path.join(name);
            match node {
                Node::File(file) => found.push((path, file.clone())),
                Node::Folder(below) => self.collect(*below, &path, found),
            }
        }
    }

    /// The tree that a power cut leaves, on a disk of `nature`: of each folder's unsynced changes only the first few, `draw(changes)`
    /// of them.
    pub(super) fn after_crash(&self, nature: &Arc<Nature>, mut draw: impl FnMut(u64) -> u64) -> Self {
        let mut left = Self::default();
        self.copy((ROOT, ROOT), &mut left, nature, &mut draw);
        left
    }

    /// Copies what is left of the first folder into the second, which is empty.
    fn copy(
        &self,
        (id, to): (FolderId, FolderId),
        left: &mut Self,
        nature: &Arc<Nature>,
        draw: &mut impl FnMut(u64) -> u64,
    ) {
        let folder = &self.folders[id];
        let mut names = folder.durable.clone();
        let waiting = folder.pending.len();
        let kept = if waiting == 0 { 0 } else { usize::try_from(draw(waiting as u64)).unwrap_or(0) };
        folder.pending.iter().take(kept).for_each(|change| apply(&mut names, change.clone()));
        for (name, node) in names {
            let node = match node {
                Node::File(file) => Node::File(Arc::new(file.after_crash(nature, draw))),
                Node::Folder(below) => {
                    let copy = if below == ABSOLUTE { ABSOLUTE } else { left.push() };
                    self.copy((below, copy), left, nature, draw);
                    Node::Folder(copy)
                }
            };
            left.folders[to].live.insert(name.clone(), node.clone());
            left.folders[to].durable.insert(name, node);
        }
    }
}
