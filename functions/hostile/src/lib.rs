//! A guest that does what its settings say and no guest should. The engine's tests deploy it; nothing else does.
//!
//! The settings are one word in quotes, or an object whose only value is one: `{"deed": "loop"}`. A word that begins with "configure-" is
//! done at once, any other at every batch.

use millstream::{log, Batch, Level, Output, Record, Transform};

/// The guest and what it is up to.
struct Hostile(String);

impl Transform for Hostile {
    fn configure(settings: &str) -> Result<Self, String> {
        let deed = settings.rsplit(':').next().unwrap_or_default().trim_matches(&['"', '{', '}', ' '][..]);
        match deed {
            "configure-refuse" => Err("I do not like these settings".into()),
            "configure-trap" => panic!("no configuration today"),
            "configure-loop" => forever(),
            _ => Ok(Self(deed.to_owned())),
        }
    }

    fn process(&mut self, _record: &Record, out: &mut Output) -> Result<(), String> {
        out.keep();
        Ok(())
    }

    fn process_batch(&mut self, batch: &Batch, out: &mut Output) -> Result<(), String> {
        match self.0.as_str() {
            "loop" => forever(),
            "trap" => panic!("on purpose"),
            "trap-on-seven" if batch.iter().any(|record| record.value() == Some(b"seven")) => panic!("seven"),
            "eat" => eat(),
            "leak" => std::mem::forget(std::hint::black_box(vec![1u8; 4 << 20])),
            "recurse" => {
                std::hint::black_box(recurse(std::hint::black_box(1)));
            }
            "refuse" => return Err("not this batch".into()),
            "flood-log" => (0..100_000).for_each(|line| log(Level::Info, format!("line {line}"))),
            "long-line" => log(Level::Warn, "é".repeat(1 << 20)),
            "flood-emit" => (0..1 << 20).for_each(|_| emit(&[0; 4096])),
            "nonsense" => emit(b"MSOB but not really"),
            "empty" => emit(&[]),
            "huge-counts" => emit(&huge_counts(batch.len())),
            "amplify" => amplify(batch, out),
            "topic" => out.keep_to(200),
            "wrong-input" => {
                out.begin(0);
                out.value("x");
                let mut packed = out.pack().to_vec();
                let rows = u32::from_le_bytes([packed[72], packed[73], packed[74], packed[75]]) as usize;
                packed[rows..rows + 4].copy_from_slice(&u32::MAX.to_le_bytes());
                emit(&packed);
            }
            "twice" => {
                out.keep();
                emit(out.pack());
            }
            #[cfg(feature = "wasi")]
            word => wasi(word),
            #[cfg(not(feature = "wasi"))]
            _ => {}
        }
        for record in batch.iter() {
            out.begin(record.index());
            self.process(&record, out)?;
        }
        Ok(())
    }
}

millstream::export!(Hostile);

fn forever() -> ! {
    let mut number = 0u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    let room = std::hint::black_box([depth; 64]);
    recurse(std::hint::black_box(depth + 1)) + room[(depth % 64) as usize]
}

/// An output batch that says it has four billion rows.
fn huge_counts(records: usize) -> Vec<u8> {
    let mut packed = b"MSOB\x01\x00\x15\x00".to_vec();
    packed.extend_from_slice(&(records as u32).to_le_bytes());
    packed.extend_from_slice(&[0xff; 12]);
    packed.extend_from_slice(&[0; 8 + 21 * 8]);
    packed
}

/// Rows that cost the guest a few bytes and the host a whole record each.
fn amplify(batch: &Batch, out: &mut Output) {
    for record in batch.iter() {
        out.begin(record.index());
        for _ in 0..60_000 {
            out.row().send();
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn emit(batch: &[u8]) {
    #[link(wasm_import_module = "millstream:transform/sink@1.0.0")]
    extern "C" {
        #[link_name = "emit"]
        fn emit(at: *const u8, len: usize);
    }
    // SAFETY: the host reads the slice during the call; what it holds is the host's to judge.
    unsafe { emit(batch.as_ptr(), batch.len()) }
}

#[cfg(not(target_arch = "wasm32"))]
fn emit(_batch: &[u8]) {}

#[cfg(feature = "wasi")]
fn wasi(word: &str) {
    match word {
        "print" => {
            println!("printed {}", std::collections::HashMap::from([(1, 2)]).len());
            eprintln!("complained");
        }
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
        "files" => println!("{:?} {:?}", std::fs::read_dir("/").is_err(), std::env::vars().count()),
        "exit" => std::process::exit(3),
        #[cfg(feature = "sockets")]
        "connect" => println!("{:?}", std::net::TcpStream::connect("127.0.0.1:9092")),
        _ => {}
    }
}
