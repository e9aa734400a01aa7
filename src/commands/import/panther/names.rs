//! Names of one tool in the style of the other: log types become sources, ids become rule names.

/// Log types whose source is not simply their name in our style. Several sources: the log type holds events of each.
const SOURCES: [(&str, &str); 44] = [
    ("AWS.ALB", "aws.alb"),
    ("AWS.BedrockModelInvocation", "aws.bedrock"),
    ("AWS.ELBV2.ApplicationLoadBalancer", "aws.elbv2.application_load_balancer"),
    ("AWS.S3ServerAccess", "aws.s3_access"),
    ("AWS.SecurityFindingFormat", "aws.security_hub"),
    ("AWS.VPCDns", "aws.vpc_dns"),
    ("AWS.VPCFlow", "aws.vpc_flow"),
    ("AWS.WAFWebACL", "aws.waf"),
    ("Amazon.EKS.Audit", "kubernetes.audit"),
    ("Anthropic.Activity", "anthropic.activity"),
    ("Azure.Audit", "azure.auditlogs azure.signinlogs"),
    ("Azure.MonitorActivity", "azure.activitylogs"),
    ("CarbonBlack.AlertV2", "carbon_black.alert"),
    ("CarbonBlack.Audit", "carbon_black.audit"),
    ("CiscoUmbrella.DNS", "cisco.umbrella_dns"),
    ("Cloudflare.HttpRequest", "cloudflare.http_request"),
    ("Crowdstrike.DNSRequest", "crowdstrike.fdr"),
    ("Crowdstrike.EventStreams", "crowdstrike.event_streams"),
    ("Crowdstrike.FDREvent", "crowdstrike.fdr"),
    ("Crowdstrike.Unknown", "crowdstrike.fdr"),
    ("Duo.Administrator", "cisco.duo"),
    ("GCP.AuditLog", "gcp.audit"),
    ("GCP.HTTPLoadBalancer", "gcp.http_load_balancer"),
    ("GSuite.ActivityEvent", "google_workspace.activity"),
    ("GSuite.Reports", "google_workspace.activity"),
    ("Gravitational.TeleportAudit", "teleport.audit"),
    ("Microsoft365.Audit.AzureActiveDirectory", "m365.azure_active_directory"),
    ("Microsoft365.Audit.Exchange", "m365.exchange"),
    ("Microsoft365.Audit.General", "m365.general"),
    ("Microsoft365.Audit.SharePoint", "m365.sharepoint"),
    ("Microsoft365.DLP.All", "m365.dlp"),
    ("MicrosoftDefenderXDR.AdvancedHunting", "ms_defender.advanced_hunting"),
    ("MicrosoftGraph.SecurityAlert", "microsoft_graph.security_alert"),
    ("MicrosoftGraph.SecurityAlertV2", "microsoft_graph.security_alert"),
    ("MicrosoftIntune.AuditLogs", "microsoft_intune.audit"),
    ("Notion.AuditLogs", "notion.audit"),
    ("OCSF.DnsActivity", "ocsf.dns_activity"),
    ("OneLogin.Events", "onelogin.events"),
    ("Osquery.Differential", "osquery.differential"),
    ("Panther.Audit", "panther.audit"),
    ("SOCRadar.Incidents", "socradar.incidents"),
    ("Slack.AuditLogs", "slack.audit"),
    ("Windows.EventLogs", "windows.event_log"),
    ("Zscaler.ZIA.AdminAuditLog", "zscaler.zia_admin_audit"),
];

/// Words that stay one word.
const WHOLE: [&str; 18] = [
    "CloudFormation",
    "CloudTrail",
    "CloudWatch",
    "CrowdStrike",
    "DocuSign",
    "DynamoDB",
    "GitHub",
    "GitLab",
    "GSuite",
    "GuardDuty",
    "MacOS",
    "McAfee",
    "MongoDB",
    "OAuth",
    "OneLogin",
    "OneDrive",
    "OpenAI",
    "SharePoint",
];

/// The source of a log type; where events of several are meant, the first is the usual one.
pub fn sources(log_type: &str) -> Vec<String> {
    match SOURCES.iter().find(|(name, _)| *name == log_type) {
        Some((_, sources)) => sources.split(' ').map(str::to_string).collect(),
        None => {
            let steps: Vec<String> = log_type.split('.').map(words).filter(|step| !step.is_empty()).collect();
            vec![if steps.is_empty() { "unknown".into() } else { steps.join(".") }]
        }
    }
}

/// A name for a rule: words of letters and digits with `_` between, of bounded length.
pub fn rule_name(id: &str) -> String {
    let name = words(id);
    if name.is_empty() { "rule".into() } else { name }
}

/// The longest name, in characters; file systems allow 255 bytes with the ending.
const LONGEST: usize = 120;

/// `CloudTrail.UserAdded` as `cloudtrail_user_added`: only letters of ASCII, digits and `_`, never a digit first, so
/// that it is a word of the language and a name of a file that leads nowhere else.
fn words(text: &str) -> String {
    let mut text = text.to_string();
    for word in WHOLE {
        let (first, rest) = word.split_at(1);
        text = text.replace(word, &format!("{first}{}", rest.to_ascii_lowercase()));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let next = chars.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase() || b.is_ascii_uppercase() && next.is_some_and(char::is_ascii_lowercase)
            });
        if (begins || !c.is_ascii_alphanumeric()) && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        }
    }
    let mut out: String = out.chars().take(LONGEST).collect();
    out.truncate(out.trim_end_matches('_').len());
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("n{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_types_become_sources() {
        for (log_type, source) in [
            ("AWS.CloudTrail", "aws.cloudtrail"),
            ("Okta.SystemLog", "okta.system_log"),
            ("Duo.Administrator", "cisco.duo"),
            ("GCP.AuditLog", "gcp.audit"),
            ("GitHub.Audit", "github.audit"),
            ("AWS.S3.Bucket", "aws.s3.bucket"),
            ("AWS.EC2.NetworkACL", "aws.ec2.network_acl"),
            ("Custom.My Product/v2", "custom.my_product_v2"),
            ("../../etc", "etc"),
            ("", "unknown"),
        ] {
            assert_eq!(sources(log_type), [source], "{log_type}");
        }
        assert_eq!(sources("Azure.Audit"), ["azure.auditlogs", "azure.signinlogs"]);
        assert!(SOURCES.is_sorted(), "the table is in order");
    }

    #[test]
    fn ids_become_names_that_lead_nowhere() {
        for (id, name) in [
            ("AWS.CloudTrail.Stopped", "aws_cloudtrail_stopped"),
            ("AWS.Console.Sign-In", "aws_console_sign_in"),
            ("../../x", "x"),
            ("/etc/passwd", "etc_passwd"),
            ("a\u{0}b\n\"c", "a_b_c"),
            ("7zip", "n7zip"),
            ("…", "rule"),
        ] {
            assert_eq!(rule_name(id), name, "{id}");
        }
        assert_eq!(rule_name(&"x".repeat(5000)).len(), LONGEST);
    }
}
