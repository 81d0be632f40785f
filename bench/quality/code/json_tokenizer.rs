/// Kinds of tokens in a JSON text.
#[derive(Debug, PartialEq, Clone)]
pub enum Token {
    Open(char),
    Close(char),
    Colon,
    Comma,
    Text(String),
    Number(f64),
    Word(String),
}

pub struct Tokenizer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
}

impl<'a> Tokenizer<'a> {
    pub fn new(input: &'a str) -> Self {
        Tokenizer { chars: input.chars().peekable() }
    }

    /// Returns the next token, `None` at the end.
    pub fn next_token(&mut self) -> Result<Option<Token>, String> {
        while matches!(self.chars.peek(), Some(c) if c.is_whitespace()) {
            self.chars.next();
        }
        let Some(c) = self.chars.next() else { return Ok(None) };
        let token = match c {
            '{' | '[' => Token::Open(c),
            '}' | ']' => Token::Close(c),
            ':' => Token::Colon,
            ',' => Token::Comma,
            '"' => Token::Text(self.read_string()?),
            '-' | '0'..='9' => Token::Number(self.read_number(c)?),
            c if c.is_alphabetic() => Token::Word(self.read_word(c)),
            other => return Err(format!("unexpected {other:?}")),
        };
        Ok(Some(token))
    }

    fn read_string(&mut self) -> Result<String, String> {
        let mut out = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                '"' => return Ok(out),
                '\\' => match self.chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('u') => {
                        let hex: String = self.chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&hex, 16).map_err(|e| e.to_string())?;
                        out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    Some(c) => out.push(c),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err("string is not closed".into())
    }

    fn read_number(&mut self, first: char) -> Result<f64, String> {
        let mut raw = String::from(first);
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_digit() || "+-.eE".contains(*c)) {
            raw.push(c);
        }
        raw.parse().map_err(|_| format!("bad number {raw}"))
    }

    fn read_word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.chars.next_if(|c| c.is_alphabetic()) {
            word.push(c);
        }
        word
    }
}
