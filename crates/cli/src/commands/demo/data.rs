//! What the demo is made of, carried in the binary: the data of `examples/flights`, its schemas, and the function's component.

/// A file of the data, compressed.
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub content: &'static [u8],
}

/// The data.
pub const FILES: [File; 4] = [
    File { name: "flights.csv.zst", content: include_bytes!("../../../../../examples/flights/data/flights.csv.zst") },
    File { name: "airlines.csv.zst", content: include_bytes!("../../../../../examples/flights/data/airlines.csv.zst") },
    File { name: "airports.csv.zst", content: include_bytes!("../../../../../examples/flights/data/airports.csv.zst") },
    File { name: "weather.csv.zst", content: include_bytes!("../../../../../examples/flights/data/weather.csv.zst") },
];

/// Topics and the schemas of their values.
pub const SCHEMAS: [(&str, &str); 5] = [
    ("airlines", include_str!("../../../../../examples/flights/schemas/airlines.json")),
    ("airports", include_str!("../../../../../examples/flights/schemas/airports.json")),
    ("weather", include_str!("../../../../../examples/flights/schemas/weather.json")),
    ("flights", include_str!("../../../../../examples/flights/schemas/flights.json")),
    ("cancelled", include_str!("../../../../../examples/flights/schemas/cancelled.json")),
];

/// The function that checks, enriches and routes departures: `functions/flights-enrich`.
pub const FUNCTION: &[u8] = include_bytes!("../../../../../functions/flights-enrich/flights-enrich.wasm");

/// Rows of `flights.csv`.
pub const FLIGHTS: i64 = 336_776;
