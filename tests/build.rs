//! Hands the benchmark the object of its kernel programs, where the agent's build script has made one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(object) = std::env::var("DEP_PORTREEVE_DATAPATH_BENCH") {
        println!("cargo::rustc-env=BENCH_PROGRAMS={object}");
    }
}
