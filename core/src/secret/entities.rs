//! The names of HTML for characters of ASCII and Latin-1. Pure.

/// Names of HTML with the character of ASCII that each stands for.
const ASCII: &str = "amp & AMP & lt < LT < gt > GT > quot \" QUOT \" apos ' excl ! num # dollar $ percnt % lpar ( \
    rpar ) ast * plus + comma , period . sol / colon : semi ; equals = quest ? commat @ lsqb [ lbrack [ bsol \\ \
    rsqb ] rbrack ] Hat ^ lowbar _ grave ` lcub { lbrace { verbar | vert | rcub } rbrace }";
/// The names of U+00A0 and the characters after it, in their order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr \
    deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest \
    Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml \
    ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig \
    agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml \
    eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// The character that `&name;` stands for.
pub(super) fn named(name: &str) -> Option<u32> {
    let mut ascii = ASCII.split_ascii_whitespace();
    while let (Some(known), Some(meaning)) = (ascii.next(), ascii.next()) {
        if known == name {
            return meaning.chars().next().map(u32::from);
        }
    }
    let mut latin = (0xA0..).zip(LATIN_1.split_ascii_whitespace());
    match name {
        "Tab" => Some(0x09),
        "NewLine" => Some(0x0A),
        _ => latin.find(|(_, known)| *known == name).map(|(code, _)| code),
    }
}
