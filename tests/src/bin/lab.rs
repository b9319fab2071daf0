//! A small lab to look around in: two hosts and a web server, until a signal ends it.
//!
//! Prints one line: the lab's id, and how to get into a host.

use anyhow::Result;
use portreeve_tests::lab::{Lab, Web};

fn main() -> Result<()> {
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface("enp2s0").addr("192.0.2.10/24").addr("2001:db8:1::10/64").up()?;
    let iem = lab.host("iem").addr("192.0.2.20/24").addr("2001:db8:1::20/64").up()?;
    let _server = Web::new(&edge, "edge ui").http(80).start()?;
    println!("{} ip netns exec {} curl http://192.0.2.10/", lab.id(), iem.namespace());
    loop {
        std::thread::park();
    }
}
