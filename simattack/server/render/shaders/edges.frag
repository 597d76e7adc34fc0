#version 330
// Softens the stairs along outlines. Which pixels blend, and how much, depends on geometry alone
// (ids and depth), never on colour: a painted texture therefore acts linearly on its pixels.
uniform sampler2D picture;
uniform sampler2D codes;
uniform sampler2D depths;
out vec4 out_color;

void main() {
    ivec2 p = ivec2(gl_FragCoord.xy);
    ivec2 last = textureSize(picture, 0) - 1;
    ivec2 l = max(p - ivec2(1, 0), ivec2(0)), r = min(p + ivec2(1, 0), last);
    ivec2 u = max(p - ivec2(0, 1), ivec2(0)), d = min(p + ivec2(0, 1), last);
    vec3 c = texelFetch(codes, p, 0).rgb;
    vec3 away = abs(c - texelFetch(codes, l, 0).rgb) + abs(c - texelFetch(codes, r, 0).rgb)
        + abs(c - texelFetch(codes, u, 0).rgb) + abs(c - texelFetch(codes, d, 0).rgb);
    vec3 own = texelFetch(picture, p, 0).rgb;
    if (away.r + away.g + away.b > 0.0) {
        vec3 sum = texelFetch(picture, l, 0).rgb + texelFetch(picture, r, 0).rgb
            + texelFetch(picture, u, 0).rgb + texelFetch(picture, d, 0).rgb;
        own = 0.5 * own + 0.125 * sum;
    }
    out_color = vec4(own, 1.0);
}
