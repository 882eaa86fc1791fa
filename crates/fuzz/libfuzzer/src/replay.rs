//! Runs inputs without libFuzzer: writes an entry's seeds to a folder, or tells how much of the code that it is about a folder of inputs reaches.
//!
//! ```text
//! replay seeds TARGET FOLDER
//! replay coverage TARGET FOLDER      covered EDGES of EDGES in FUNCTIONS of FUNCTIONS that read, then those that were not reached
//! ```
//!
//! The compiler counts edges as it does for libFuzzer, whose part is played here: it is told where the counters lie and which places of the
//! program they belong to. Debug information says whose code such a place is, what was inlined there included.

use addr2line::Context;
use gimli::{Dwarf, EndianSlice, RunTimeEndian};
use millstream_fuzz::{TARGETS, Target};
use object::{Object, ObjectSection};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{fs, slice};

static COUNTERS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
static PLACES: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(begin: usize, end: usize) {
    COUNTERS[0].store(begin, Relaxed);
    COUNTERS[1].store(end, Relaxed);
}

#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_pcs_init(begin: usize, end: usize) {
    PLACES[0].store(begin, Relaxed);
    PLACES[1].store(end, Relaxed);
}

/// What else is told to a fuzzer, and nothing to us.
macro_rules! ignored {
    ($($name:ident),*) => {
        $(#[unsafe(no_mangle)] extern "C" fn $name() {})*
    };
}

ignored!(
    __sanitizer_cov_trace_cmp1,
    __sanitizer_cov_trace_cmp2,
    __sanitizer_cov_trace_cmp4,
    __sanitizer_cov_trace_cmp8,
    __sanitizer_cov_trace_const_cmp1,
    __sanitizer_cov_trace_const_cmp2,
    __sanitizer_cov_trace_const_cmp4,
    __sanitizer_cov_trace_const_cmp8,
    __sanitizer_cov_trace_switch,
    __sanitizer_cov_trace_pc_indir
);

// What the linker puts at the program's begin.
unsafe extern "C" {
    static __executable_start: u8;
}

/// The counters; one for each place.
fn counters() -> &'static mut [u8] {
    let [begin, end] = [0, 1].map(|at| COUNTERS[at].load(Relaxed));
    // SAFETY: the compiler's own counters, from its own begin to its own end. There is one thread.
    unsafe { slice::from_raw_parts_mut(begin as *mut u8, end - begin) }
}

/// The places in the program, as addresses in its file; none where the linker left out what is never called.
fn places() -> Vec<Option<u64>> {
    let [begin, end] = [0, 1].map(|at| PLACES[at].load(Relaxed));
    // SAFETY: the compiler's own table, of pairs of an address and a flag.
    let pairs = unsafe { slice::from_raw_parts(begin as *const [usize; 2], (end - begin) / size_of::<[usize; 2]>()) };
    let start = &raw const __executable_start as usize;
    pairs.iter().map(|[place, _]| place.checked_sub(start).map(|place| place as u64)).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, name, folder] = &arguments[..] else { return Err("replay seeds|coverage TARGET FOLDER".into()) };
    let target = TARGETS.iter().find(|target| target.name == name).ok_or("there is no such target")?;
    match what.as_str() {
        "seeds" => seeds(target, Path::new(folder)),
        "coverage" => coverage(target, Path::new(folder)),
        _ => Err("replay seeds|coverage TARGET FOLDER".into()),
    }
}

fn seeds(target: &Target, folder: &Path) -> Result<(), Box<dyn Error>> {
    for (number, seed) in (target.seeds)().iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), seed)?;
    }
    Ok(())
}

fn coverage(target: &Target, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut reached = vec![false; counters().len()];
    for entry in fs::read_dir(folder)? {
        let input = fs::read(entry?.path())?;
        counters().fill(0);
        (target.run)(&input);
        reached.iter_mut().zip(counters()).for_each(|(reached, count)| *reached |= *count > 0);
    }
    let program = fs::read(std::env::current_exe()?)?;
    let context = context(&program)?;
    let (mut edges, mut covered) = (0_u64, 0_u64);
    let mut functions: BTreeMap<String, bool> = BTreeMap::new();
    for (place, is_reached) in places().into_iter().zip(reached) {
        let Some((file, function)) = place.and_then(|place| found(&context, place)) else { continue };
        if !target.covers.iter().any(|part| file.contains(part)) || file.contains("/tests/") || writes(&function) {
            continue;
        }
        edges += 1;
        covered += u64::from(is_reached);
        *functions.entry(function).or_default() |= is_reached;
    }
    let entered = functions.values().filter(|is_reached| **is_reached).count();
    println!("covered {covered} of {edges} in {entered} of {}", functions.len());
    let missed: BTreeSet<&String> =
        functions.iter().filter(|(_, is_reached)| !**is_reached).map(|(name, _)| name).collect();
    missed.iter().for_each(|name| println!("not reached: {name}"));
    Ok(())
}

/// Whether a function makes bytes or text of what was read: an entry does that only to look at what the other side made of them.
fn writes(function: &str) -> bool {
    const BEGIN: [&str; 7] = ["encode", "compute_size", "write_", "put_", "fmt", "print", "drop_"];
    BEGIN.iter().any(|begin| function.starts_with(begin))
}

type Reader<'a> = EndianSlice<'a, RunTimeEndian>;

fn context(program: &[u8]) -> Result<Context<Reader<'_>>, Box<dyn Error>> {
    let file = object::File::parse(program)?;
    let section = |id: gimli::SectionId| -> Result<Reader<'_>, gimli::Error> {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok()).unwrap_or_default();
        Ok(EndianSlice::new(data, RunTimeEndian::Little))
    };
    Ok(Context::from_dwarf(Dwarf::load(section)?)?)
}

/// The file and the function of a place, the innermost where functions were inlined.
fn found(context: &Context<Reader<'_>>, place: u64) -> Option<(String, String)> {
    let mut frames = context.find_frames(place).skip_all_loads().ok()?;
    let frame = frames.next().ok()??;
    let function = frame.function?.demangle().ok()?.into_owned();
    let file = frame.location?.file?.to_owned();
    // Without the hash at its end, one function is one however often it was compiled.
    let function = function.rsplit_once("::h").map_or(function.clone(), |(name, _)| name.to_owned());
    Some((file, function))
}
