//! `mesh-hostile ATTACK ADDRESS:PORT [--at-once N] [--from ADDRESS]… [--content ID] [--seed N]`: a peer that speaks the
//! wire in order to do harm.
//!
//! It does one thing, named on the command line, to one node, again and again until it is killed: an attack is a *bout*
//! that ends when the node cuts it off, and then begins anew under another key. It prints `struck` once a tenth of
//! those that go on at once did their harm.
//!
//! | to find | look in |
//! |---|---|
//! | what it is told | [`orders`] |
//! | a connection as far as one wants it: TCP, Noise, Yamux, streams | [`line`] |
//! | messages and frames, whole and broken | [`words`] |
//! | before anybody is known | [`door`], [`announcer`] |
//! | streams that are wrong, endless, slow or never read | [`streams`] |
//! | messages that are wrong, too many, or forged | [`control`], [`records`] |
//! | a source that lies | [`liar`] |
//! | a getter that asks for everything and acknowledges nothing | [`greedy`] |

mod announcer;
mod control;
mod door;
mod greedy;
mod liar;
mod line;
mod orders;
mod records;
mod streams;
mod words;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use orders::{Attack, Orders};

/// Between two bouts, so that this machine does not work for the attacker alone.
const BREATH: Duration = Duration::from_millis(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let orders = match Orders::read(std::env::args().skip(1)) {
        Ok(orders) => orders,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    orders::raise_limit_of_open_files();
    let all = (0..orders.at_once).map(|number| tokio::spawn(go_on(orders.fighter(number))));
    for one in all.collect::<Vec<_>>() {
        let _ = one.await;
    }
    ExitCode::SUCCESS
}

/// One bout after the other, for ever.
async fn go_on(mut fighter: orders::Fighter) {
    let mut told = false;
    loop {
        // Being cut off is what is expected; what never gets so far as to do harm has to be explained.
        if let (Err(error), false) = (bout(&mut fighter).await, told) {
            eprintln!("the first bout ended: {error}");
            told = true;
        }
        tokio::time::sleep(BREATH).await;
    }
}

async fn bout(fighter: &mut orders::Fighter) -> io::Result<()> {
    match fighter.attack {
        Attack::Door(how) => door::bout(fighter, how).await,
        Attack::Streams(how) => streams::bout(fighter, how).await,
        Attack::Control(how) => control::bout(fighter, how).await,
        Attack::Records(how) => records::bout(fighter, how).await,
        Attack::Liar(how) => liar::bout(fighter, how).await,
        Attack::Greedy(how) => greedy::bout(fighter, how).await,
        Attack::Announcer => announcer::bout(fighter).await,
    }
}
