//! Functions, conditions and parameters are read off an output.

use super::*;

/// Returns the value of an output with this expression.
fn value_of(expression: &str) -> Result<String> {
    let sections = format!(
        r#"
Parameters:
  Word: {{Type: String, Default: hello}}
  Number: {{Type: Number, Default: 5}}
  List: {{Type: CommaDelimitedList, Default: "a, b"}}
Conditions:
  Yes: !Equals [!Ref Word, hello]
  No: !Not [!Condition Yes]
  Five: !Equals [!Ref Number, "5"]
  Both: !And [!Condition Yes, !Condition No]
  Either: !Or [!Condition Yes, !Condition No]
Resources:
  Queue: {{Type: AWS::SQS::Queue}}
  Named: {{Type: AWS::SQS::Queue, Properties: {{QueueName: !Sub "${{AWS::StackName}}-x"}}}}
  Absent: {{Type: AWS::SQS::Queue, Condition: No}}
  Secret: {{Type: AWS::SecretsManager::Secret, Properties: {{GenerateSecretString: {{PasswordLength: 9}}}}}}
  Logs: {{Type: AWS::Logs::LogGroup}}
  Api: {{Type: AWS::Serverless::HttpApi}}
  Nested: {{Type: AWS::Serverless::Application, Properties: {{Location: x.yaml}}}}
Outputs:
  Value: {{Value: {expression}}}
"#
    );
    load_sections(&sections).map(|stack| stack.outputs["Value"].clone())
}

#[test]
fn functions_give_what_cloudformation_gives() {
    let cases = [
        ("!Ref Word", "hello"),
        ("!Ref Number", "5"),
        ("{Ref: Word}", "hello"),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::AccountId", "000000000000"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref AWS::StackName", "posthaste"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        ("!Ref Queue", "http://127.0.0.1:4566/000000000000/posthaste-Queue"),
        ("!Ref Named", "http://127.0.0.1:4566/000000000000/posthaste-x"),
        (
            "!Ref Secret",
            "arn:aws:secretsmanager:us-east-1:000000000000:secret:posthaste-Secret-000000",
        ),
        ("!Ref Logs", "posthaste-Logs"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:000000000000:posthaste-Queue"),
        ("!GetAtt [Queue, QueueName]", "posthaste-Queue"),
        ("!GetAtt Queue.QueueUrl", "http://127.0.0.1:4566/000000000000/posthaste-Queue"),
        ("!GetAtt Logs.Arn", "arn:aws:logs:us-east-1:000000000000:log-group:posthaste-Logs:*"),
        ("!GetAtt Api.ApiEndpoint", "http://127.0.0.1:8080"),
        ("!Sub plain", "plain"),
        ("!Sub '${Word} ${Named.QueueName} ${!Word} $ {}'", "hello posthaste-x ${Word} $ {}"),
        ("!Sub ['${A}-${Word}', {A: !Ref Number}]", "5-hello"),
        ("!Join [', ', [a, !Ref Word, 3, true]]", "a, hello, 3, true"),
        ("!Join ['', [a, !Ref AWS::NoValue, b]]", "ab"),
        ("!Select [1, [a, b]]", "b"),
        ("!Select ['0', !Split ['-', a-b-c]]", "a"),
        ("!Join ['+', !Split [',', '1,2']]", "1+2"),
        ("!Join ['+', !Ref List]", "a+b"),
        ("!Select [1, !Ref List]", "b"),
        ("!If [Yes, !Ref Word, no]", "hello"),
        ("!If [No, !Ref Missing, no]", "no"),
        ("!If [Five, five, other]", "five"),
        ("!If [Both, a, b]", "b"),
        ("!If [Either, a, b]", "a"),
        ("7", "7"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value_of(expression).expect(expression), expected, "{expression}");
    }
}

#[test]
fn what_cannot_be_resolved_is_named() {
    let cases = [
        ("!Ref Missing", "Ref: there is no Missing"),
        ("!Ref Absent", "Ref: Absent is left out by its condition"),
        ("!Ref AWS::StackId", "Ref.AWS::StackId: not supported by the local system"),
        (
            "!Ref Nested",
            "Ref: Ref of AWS::Serverless::Application Nested: not supported by the local system",
        ),
        ("!Ref [a]", "Ref: takes a text"),
        ("!GetAtt Missing.Arn", "Fn::GetAtt: there is no Missing"),
        ("!GetAtt Queue", "Fn::GetAtt: Queue names no attribute"),
        (
            "!GetAtt Queue.Colour",
            "Fn::GetAtt: Colour of AWS::SQS::Queue Queue: not supported by the local system",
        ),
        ("!Sub '${Missing}'", "Fn::Sub: there is no Missing"),
        ("!Sub '${Word'", "Fn::Sub: a ${ has no }"),
        ("!Sub '${List}'", "Fn::Sub: List is no text"),
        ("!Sub '${AWS::NoValue}'", "Fn::Sub: AWS::NoValue is no text"),
        ("!Sub [a]", "Fn::Sub: takes a list of 2"),
        ("!Sub [a, b]", "Fn::Sub: the second argument has to be an object"),
        ("!Join [a, b]", "Fn::Join: takes a list"),
        ("!Select [2, [a, b]]", "Fn::Select: there is no item 2 of 2"),
        ("!If [Maybe, a, b]", "Fn::If: there is no condition Maybe"),
        ("!Equals [a, a]", "Fn::Equals: stands only in Conditions"),
        ("!ImportValue x", "Fn::ImportValue: not supported by the local system"),
        ("!FindInMap [a, b, c]", "Fn::FindInMap: not supported by the local system"),
        ("!Base64 x", "Fn::Base64: not supported by the local system"),
    ];
    for (expression, expected) in cases {
        let error = value_of(expression).expect_err(expression).to_string();
        assert_eq!(error, format!("Outputs.Value.Value.{expected}"), "{expression}");
    }
    for reference in ["'{{resolve:ssm:x}}'", "!Sub '{{resolve:secretsmanager:${Secret}}}'"] {
        let error = value_of(reference).expect_err(reference).to_string();
        assert!(
            error.ends_with("}}: dynamic references are not supported by the local system"),
            "{error}"
        );
    }
    assert_eq!(value_of("[a]").unwrap_err().to_string(), "Outputs.Value.Value: has to be a text");
    assert_eq!(
        value_of("!Ref AWS::NoValue").unwrap_err().to_string(),
        "Outputs.Value.Value: has to be a text"
    );
}

#[test]
fn conditions_that_make_no_sense_are_named() {
    let cases = [
        ("A: !Condition B", "Conditions.A.Condition: there is no condition B"),
        ("A: !Condition A", "Conditions.A.Condition: A depends on itself"),
        (
            "{A: !Not [!Condition B], B: !Condition A}",
            "Conditions.B.Condition: A depends on itself",
        ),
        ("A: !Ref X", "Conditions.A.Ref: not supported by the local system"),
        ("A: true", "Conditions.A: has to be a condition function"),
        ("A: !And [!Equals [a, a]]", "Conditions.A.Fn::And: takes 2 to 10 conditions"),
        ("A: !Not []", "Conditions.A.Fn::Not: takes a list of 1"),
    ];
    for (conditions, expected) in cases {
        assert_eq!(refusal(&format!("Conditions:\n  {conditions}")), expected, "{conditions}");
    }
}

#[test]
fn a_name_that_depends_on_itself_is_an_error() {
    let sections = "Resources:\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Q}}";
    assert_eq!(refusal(sections), "Resources.Q.Properties.QueueName: Q depends on itself");
}

#[test]
fn parameters_are_held_against_their_declaration() {
    let cases = [
        ("{Type: String}", None, Err("has no default and was not given")),
        ("{Type: String, Default: a}", None, Ok("a")),
        ("{Type: String, Default: a}", Some("b"), Ok("b")),
        ("{Type: String, Default: a, AllowedValues: [a, b]}", Some("b"), Ok("b")),
        (
            "{Type: String, Default: a, AllowedValues: [a, b]}",
            Some("c"),
            Err(r#""c" is none of the allowed values a, b"#),
        ),
        ("{Type: String, Default: a, AllowedPattern: '[a-z]+'}", Some("abc"), Ok("abc")),
        (
            "{Type: String, Default: a, AllowedPattern: '[a-z]+'}",
            Some("abc1"),
            Err(r#""abc1" does not match [a-z]+"#),
        ),
        ("{Type: String, Default: '', AllowedPattern: '^$|^a$'}", None, Ok("")),
        (
            "{Type: String, Default: '', AllowedPattern: '^$|^a$'}",
            Some("aa"),
            Err(r#""aa" does not match ^$|^a$"#),
        ),
        ("{Type: String, Default: abc, MinLength: 2, MaxLength: 3}", None, Ok("abc")),
        (
            "{Type: String, Default: a, MinLength: 2, MaxLength: 3}",
            None,
            Err(r#""a" has 1 characters, not 2 to 3"#),
        ),
        (
            "{Type: Number, Default: 2, MinValue: 2, MaxValue: 3, Description: x, NoEcho: true}",
            Some("3"),
            Ok("3"),
        ),
        ("{Type: Number, Default: 2, MinValue: 2}", Some("1"), Err(r#""1" is outside MinValue 2"#)),
        ("{Type: Number, Default: 2, MaxValue: 3}", Some("4"), Err(r#""4" is outside MaxValue 3"#)),
        ("{Type: Number, Default: two}", None, Err(r#""two" is no number"#)),
    ];
    for (declaration, given, expected) in cases {
        let template = format!(
            "Transform: AWS::Serverless-2016-10-31\nParameters:\n  P: \
             {declaration}\nOutputs:\n  O: {{Value: !Ref P}}"
        );
        let overrides = given.map(|value| ("P".to_owned(), value.to_owned())).into_iter().collect();
        let result = load(&template, &overrides, &context());
        let result =
            result.map(|stack| stack.outputs["O"].clone()).map_err(|error| error.to_string());
        let expected =
            expected.map(str::to_owned).map_err(|problem| format!("Parameters.P: {problem}"));
        assert_eq!(result, expected, "{declaration} {given:?}");
    }
}

#[test]
fn parameters_that_are_not_understood_are_errors() {
    let cases = [
        (
            "{Type: List<Number>, Default: 1}",
            "Parameters.P.Type: List<Number>: not supported by the local system",
        ),
        (
            "{Type: String, Default: a, Colour: red}",
            "Parameters.P.Colour: not supported by the local system",
        ),
        ("{Default: a}", "Parameters.P.Type: is missing"),
        ("{Type: Number, Default: 1, MinValue: x}", "Parameters.P.MinValue: has to be a number"),
    ];
    for (declaration, expected) in cases {
        assert_eq!(refusal(&format!("Parameters:\n  P: {declaration}")), expected);
    }
    let overrides = BTreeMap::from([("Stag".to_owned(), "x".to_owned())]);
    let template = "Transform: AWS::Serverless-2016-10-31\nParameters:\n  A: {Type: String, \
        Default: a}\n  Stage: {Type: String, Default: b}";
    let error = load(template, &overrides, &context()).unwrap_err().to_string();
    assert_eq!(error, "Parameters.Stag: no such parameter; there are A, Stage");
}

#[test]
fn parameters_are_held_against_the_rules() {
    let template = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Domain: {Type: String, Default: ""}
  Certificate: {Type: String, Default: ""}
Rules:
  ADomainHasACertificate:
    RuleCondition: !Not [!Equals [!Ref Domain, ""]]
    Assertions:
      - Assert: !Not [!Equals [!Ref Certificate, ""]]
        AssertDescription: Domain needs Certificate.
"#;
    let check = |given: &[(&str, &str)]| {
        let overrides =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(template, &overrides, &context()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&[("Domain", "a.b"), ("Certificate", "arn:x")]), Ok(()));
    let refused = "Rules.ADomainHasACertificate.Assertions.0: Domain needs Certificate.";
    assert_eq!(check(&[("Domain", "a.b")]), Err(refused.to_owned()));
}
