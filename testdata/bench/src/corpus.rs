//! Events and rules for measurements: made from a fixed seed, the same at every run, or read from files.
//!
//! The events look like flat events of a Windows fleet: a few programs make up most of them, paths and command
//! lines repeat, and one in twenty is new. The rules ask for literals that mostly do not occur.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A generator of numbers that needs no library and never changes.
pub struct Random(u64);

impl Random {
    /// Begins anew.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn pick<'a>(&mut self, pool: &[&'a str]) -> &'a str {
        let at = self.below(pool.len() as u64) as usize;
        pool.get(at).copied().unwrap_or("")
    }

    fn word(&mut self) -> String {
        let long = 4 + self.below(6);
        (0..long).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }
}

const PROGRAMS: [&str; 12] = [
    "svchost.exe",
    "explorer.exe",
    "chrome.exe",
    "powershell.exe",
    "cmd.exe",
    "conhost.exe",
    "rundll32.exe",
    "msiexec.exe",
    "taskhostw.exe",
    "wmiprvse.exe",
    "certutil.exe",
    "reg.exe",
];

/// So many events, one a line.
pub fn events(count: usize) -> Vec<u8> {
    let mut random = Random::new(1);
    let mut out = String::new();
    for number in 0..count {
        let (program, parent) = (random.pick(&PROGRAMS), random.pick(&PROGRAMS));
        let odd = random.below(20) == 0;
        let argument = if odd { random.word() } else { format!("-k netsvcs{}", random.below(40)) };
        let (channel, id) = match random.below(10) {
            0 => ("Security", 4624 + random.below(3) * 32),
            1 => ("System", 7036),
            n => (
                "Microsoft-Windows-Sysmon/Operational",
                [1, 1, 3, 7, 10, 11, 12, 13].get(n as usize - 2).copied().unwrap_or(1),
            ),
        };
        let _ = writeln!(
            out,
            r#"{{"EventID":{id},"Channel":"{channel}","Computer":"host{}.example.com","Level":4,"EventRecordID":{number},"TimeCreated":"2026-01-01T00:00:{:02}.{:03}Z","User":"EXAMPLE\\user{}","ProcessId":{},"Image":"C:\\Windows\\System32\\{program}","CommandLine":"C:\\Windows\\System32\\{program} {argument}","ParentImage":"C:\\Windows\\System32\\{parent}","ParentCommandLine":"\"C:\\Windows\\System32\\{parent}\" -Embedding","CurrentDirectory":"C:\\Windows\\system32\\","IntegrityLevel":"System","OriginalFileName":"{program}","Hashes":"SHA256={:016X}{:016X},IMPHASH={:016X}","TargetFilename":"C:\\Users\\user{}\\AppData\\Local\\Temp\\{}.tmp","DestinationIp":"198.51.100.{}","DestinationPort":443,"LogonType":3,"IpAddress":"10.0.{}.{}"}}"#,
            random.below(50),
            random.below(60),
            random.below(1000),
            random.below(200),
            random.below(9000),
            random.below(40),
            random.below(40),
            random.below(40),
            random.below(200),
            random.below(300),
            random.below(250),
            random.below(8),
            random.below(250),
        );
    }
    out.into_bytes()
}

/// What a busy account does.
const CALLS: [(&str, &str, bool); 10] = [
    ("ec2", "DescribeInstances", true),
    ("s3", "ListBuckets", true),
    ("sts", "GetCallerIdentity", true),
    ("kms", "Decrypt", true),
    ("logs", "CreateLogStream", false),
    ("dynamodb", "DescribeTable", true),
    ("ecs", "RegisterContainerInstance", false),
    ("monitoring", "PutMetricAlarm", false),
    ("lambda", "GetFunction20150331v2", true),
    ("autoscaling", "DescribeAutoScalingGroups", true),
];

/// So many events of CloudTrail, one a text, of the ten minutes before a time (milliseconds since 1970). One in a thousand
/// is a sign-in of the root user.
pub fn trail(count: usize, until: u64) -> Vec<String> {
    let mut random = Random::new(3);
    (0..count)
        .map(|number| {
            let back = 600_000 * (count - number) as u64 / count as u64;
            let nanos = i64::try_from(until.saturating_sub(back)).unwrap_or(0) / 1_000 * 1_000_000_000;
            let time = tripline_event::format_time(nanos);
            let id = format!("{:08x}-{:04x}-4000-8000-{number:012x}", random.next() as u32, random.next() as u16);
            let ip = format!("198.51.100.{}", random.below(250));
            if number % 1_000 == 999 {
                return format!(
                    r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":""}},"eventTime":"{time}","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"{ip}","userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","requestParameters":null,"responseElements":{{"ConsoleLogin":"Success"}},"additionalEventData":{{"MobileVersion":"No","MFAUsed":"Yes"}},"eventID":"{id}","readOnly":false,"eventType":"AwsConsoleSignIn","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
                );
            }
            let at = random.below(CALLS.len() as u64) as usize;
            let (service, call, reads) = CALLS.get(at).copied().unwrap_or(("ec2", "DescribeInstances", true));
            let role = format!("service-{}", random.below(200));
            let session = format!("i-{:017x}", random.below(5_000));
            format!(
                r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE{role}:{session}","arn":"arn:aws:sts::111122223333:assumed-role/{role}/{session}","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE{:010}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE{role}","arn":"arn:aws:iam::111122223333:role/{role}","accountId":"111122223333","userName":"{role}"}},"attributes":{{"creationDate":"2026-01-01T00:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{call}","awsRegion":"eu-central-1","sourceIPAddress":"{ip}","userAgent":"aws-sdk-go-v2/1.30 os/linux lang/go md/GOOS#linux md/GOARCH#arm64 api/{service}","requestParameters":{{"name":"{}","maxResults":100}},"responseElements":null,"requestID":"{id}","eventID":"{id}","readOnly":{reads},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#,
                random.below(1_000_000),
                random.word(),
            )
        })
        .collect()
}

/// So many Sigma rules, each a document of its own.
pub fn rules(count: usize) -> Vec<String> {
    let mut random = Random::new(2);
    (0..count)
        .map(|number| {
            let program = random.pick(&PROGRAMS);
            let words: Vec<String> = (0..4).map(|_| random.word()).collect();
            let [a, b, c, d] = words.as_slice() else { return String::new() };
            // One rule in a hundred is about something that happens.
            let b = if number % 100 == 0 { format!("netsvcs{}", number / 100 % 40) } else { b.clone() };
            format!(
                "title: Rule {number}\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\nlogsource:\n  category: process_creation\n  product: windows\ndetection:\n  selection:\n    Image|endswith: '\\{program}'\n    CommandLine|contains:\n      - ' -{a} '\n      - '{b}'\n  other:\n    ParentImage|endswith: '\\{c}.exe'\n  filter:\n    CommandLine|contains: '{d}'\n  condition: (selection or other) and not filter\nlevel: medium\n"
            )
        })
        .collect()
}

/// Every Sigma rule below a folder, in order of their names.
pub fn read_rules(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "yml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(std::fs::read_to_string).collect()
}
