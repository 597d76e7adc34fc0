#version 330
// Lays the mirror images (mirror.frag) over the ground, and over nothing else.
uniform sampler2D mirrored;
uniform sampler2D shown;
uniform sampler2D code;
uniform vec2 pixels;
layout(location = 0) out vec4 out_color;

void main() {
    ivec2 here = ivec2(gl_FragCoord.xy);
    float tag = texelFetch(code, here, 0).r * 255.0;
    if (abs(tag - 1.5) > 0.6 && abs(tag - 24.0) > 0.5) discard;
    vec4 seen = texture(mirrored, gl_FragCoord.xy / pixels);
    vec3 c = seen.rgb + (1.0 - seen.a) * texelFetch(shown, here, 0).rgb;
    out_color = vec4(c, 1.0);
}
