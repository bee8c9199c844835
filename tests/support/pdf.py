"""What a PDF holds, as a reader of PDF files finds it."""

from contextlib import contextmanager

import pypdfium2


@contextmanager
def opened(content):
    document = pypdfium2.PdfDocument(content)
    try:
        yield document
    finally:
        document.close()


def words(content):
    """The text of each page, lines and spaces made one."""
    with opened(content) as document:
        texts = []
        for page in document:
            reader = page.get_textpage()
            texts.append(" ".join(reader.get_text_range().split()))
            reader.close()
            page.close()
        return texts
