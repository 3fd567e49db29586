//! The kit itself: networks carry packets, faults bite, and nothing stays behind.

use std::fs;
use std::time::Duration;

use mesh_tests::place::{system, try_system};
use mesh_tests::{Lan, Running, wait};

#[test]
fn a_network_carries_packets_and_leaves_nothing_behind() {
    let Some(mut lan) = Lan::new() else { return };
    let (near, far) = (lan.host(), lan.host());
    let ping = format!("ip netns exec {} ping -c 1 -W 2 {}", near.namespace, far.address);
    // Without ping installed the transfers below show the same.
    if try_system("ping -V") {
        system(&ping);
        far.unplug();
        assert!(!try_system(&ping), "an unplugged host answered");
        far.plug();
    }
    let mut sleeper = near.place().command("sleep");
    sleeper.arg("1000");
    let sleeper = Running::start(sleeper);
    let (process, namespace) = (sleeper.id(), near.namespace.clone());
    // It begins outside, and enters in its own time.
    wait::until("a process in its namespace", Duration::from_secs(10), || {
        system(&format!("ip netns pids {namespace}")).contains(&process.to_string()).then_some(())
    });
    drop(lan);
    assert!(!system("ip netns list").contains(&namespace));
    assert_eq!(sleeper.wait(Duration::from_secs(5)).code, None, "the process ends with its host");
}

#[test]
fn a_shaped_link_has_its_rate() {
    let Some(mut lan) = Lan::new() else { return };
    let (near, far) = (lan.host(), lan.host());
    near.limit_rate(20);
    near.block_multicast();
    near.lose(1);
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let shell = |host: &mesh_tests::Host, line: &str| {
        let mut command = host.place().command("bash");
        command.args(["-c", line]).current_dir(folder.path());
        Running::start(command)
    };
    if !try_system("python3 --version") {
        return;
    }
    let listener = "import socket,time\ns=socket.create_server(('0.0.0.0',9));open('ready','w').close();c=s.accept()[0]\n\
                    n=0;t=None\nwhile True:\n b=c.recv(1<<16)\n t=t or time.time()\n if not b: break\n n+=len(b)\n\
                    print(int(n/(time.time()-t)))";
    let far_end = shell(&far, &format!("exec python3 -c \"{listener}\""));
    wait::until("the listener", Duration::from_secs(10), || folder.path().join("ready").exists().then_some(()));
    let near_end = shell(&near, &format!("head -c 5000000 /dev/zero > /dev/tcp/{}/9", far.address));
    assert_eq!(near_end.wait(Duration::from_secs(30)).code, Some(0));
    let rate: u64 = far_end.wait(Duration::from_secs(30)).success().stdout.trim().parse().expect("a rate");
    assert!((1_500_000..2_600_000).contains(&rate), "20 Mbit/s carried {rate} bytes a second");
    assert!(near.sent_bytes() > 5_000_000);
    assert!(fs::exists(folder.path()).unwrap());
}
