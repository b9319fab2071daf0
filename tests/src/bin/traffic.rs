//! `traffic serve` echoes, `traffic run` sends and reports as JSON what was lost or changed, `traffic reach` connects.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use portreeve_tests::traffic::{Plan, Server, Transport, exchange_until, serve};
use signal_hook::consts::SIGTERM;

/// Real traffic for the suites that run in network namespaces.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Echoes what comes, prints the address once it listens, and ends in time.
    Serve {
        /// Where to listen; port 0 takes any free one.
        address: SocketAddr,
        #[arg(long)]
        udp: bool,
        /// Seconds to serve.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Connects over TCP; exit 1 when nobody answers in time.
    Reach {
        /// Where to.
        address: SocketAddr,
        /// Milliseconds that the answer may take.
        #[arg(long, default_value_t = 1000)]
        patience: u64,
    },
    /// Exchanges messages with an echo server, until SIGTERM at the latest; exit 1 when any was lost or changed.
    Run(Run),
}

#[derive(Args)]
struct Run {
    /// Where the server listens.
    address: SocketAddr,
    #[arg(long)]
    udp: bool,
    /// Sockets that talk at the same time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Messages a socket.
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Bytes a message.
    #[arg(long, default_value_t = 1000)]
    bytes: usize,
    /// Milliseconds between two messages of a socket.
    #[arg(long, default_value_t = 10)]
    pause: u64,
    /// Milliseconds that an answer may take.
    #[arg(long, default_value_t = 5000)]
    patience: u64,
    /// Seconds after which no message is sent.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Serve { address, udp, seconds } => {
            let server = Server::bind(transport(udp), address)
                .with_context(|| format!("can't listen on {address}"))?;
            print(&server.address()?.to_string())?;
            serve(&server, Duration::from_secs(seconds))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Reach { address, patience } => {
            let reached = TcpStream::connect_timeout(&address, Duration::from_millis(patience));
            Ok(if reached.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Run(run) => {
            let stop = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
            let report = exchange_until(&run.plan(), &stop);
            print(&serde_json::to_string(&report)?)?;
            Ok(if report.flawless() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

impl Run {
    fn plan(&self) -> Plan {
        let Self { address, udp, connections, rounds, bytes, pause, patience, seconds } = *self;
        Plan {
            transport: transport(udp),
            target: address,
            connections,
            rounds,
            bytes,
            pause: Duration::from_millis(pause),
            patience: Duration::from_millis(patience),
            limit: Duration::from_secs(seconds),
        }
    }
}

fn transport(udp: bool) -> Transport {
    if udp { Transport::Udp } else { Transport::Tcp }
}

/// At once, for whoever waits for the line.
fn print(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
